package keystore

import (
	"errors"
	"testing"
	"time"
)

// The judgement knows no files: each row says what they hold, what is left of earlier judgements, and what to do.
func TestJudge(t *testing.T) {
	const half, whole = settleTime / 2, settleTime
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	next := &Snapshot{keys: []*Key{{ID: "a"}}}
	same := &Snapshot{keys: []*Key{{ID: "a"}}} // as next, in other bytes
	other := &Snapshot{keys: []*Key{{ID: "b"}}}
	fault, another := errors.New("fault"), errors.New("another")
	differs := Diff{KeysChanged: []string{"a"}}

	for _, test := range []struct {
		name     string
		change   change
		previous previous
		explicit bool
		want     verdict
	}{
		{name: "nothing"},
		{name: "nothing, asked for explicitly", explicit: true},
		{
			name: "nothing but that the fault is still there", change: change{err: fault}, previous: previous{fault: fault},
			want: verdict{err: fault, previous: previous{fault: fault}},
		},
		{name: "a change", change: change{next: next, diff: differs}, want: verdict{apply: true}},
		{name: "a change of comments", change: change{next: next}, want: verdict{apply: true}},
		{
			name: "a change, written in place just now", change: change{next: next, diff: differs, keysHold: whole, anyHold: whole},
			want: verdict{apply: true},
		},
		{
			name: "a change after a fault", change: change{next: next, diff: differs}, previous: previous{fault: fault},
			want: verdict{apply: true},
		},

		{name: "a suspect change in a file that was renamed", change: change{next: next, diff: differs, isSuspect: true}, want: verdict{apply: true}},
		{
			name: "a suspect change, asked for explicitly", change: change{next: next, diff: differs, isSuspect: true, keysHold: whole}, explicit: true,
			want: verdict{apply: true},
		},
		{
			name: "a suspect change, first seen", change: change{next: next, diff: differs, isSuspect: true, keysHold: half},
			want: verdict{retryIn: half, previous: previous{pending: next, pendingSince: now}},
		},
		{
			name: "a suspect change that stays", change: change{next: next, diff: differs, isSuspect: true, keysHold: half},
			previous: previous{pending: next, pendingSince: ago(whole - 1)},
			want:     verdict{retryIn: 1, previous: previous{pending: next, pendingSince: ago(whole - 1)}},
		},
		{
			name: "a suspect change that is written again and again", change: change{next: next, diff: differs, isSuspect: true, keysHold: whole},
			previous: previous{pending: same, pendingSince: ago(whole)},
			want:     verdict{apply: true},
		},
		{
			name: "a suspect change after another one", change: change{next: next, diff: differs, isSuspect: true, keysHold: half},
			previous: previous{pending: other, pendingSince: ago(whole)},
			want:     verdict{retryIn: half, previous: previous{pending: next, pendingSince: now}},
		},
		{
			name: "a suspect change in an unchanged file", change: change{next: next, diff: differs, isSuspect: true, keysHold: -1},
			previous: previous{pending: next, pendingSince: now},
			want:     verdict{apply: true},
		},
		{
			name: "a suspect change after a fault", change: change{next: next, diff: differs, isSuspect: true, keysHold: half},
			previous: previous{fault: fault},
			want:     verdict{retryIn: half, previous: previous{fault: fault, pending: next, pendingSince: now}},
		},
		{
			name: "what was pending is gone", change: change{}, previous: previous{pending: next, pendingSince: now},
		},

		{name: "a fault in a file that was renamed", change: change{err: fault}, want: verdict{err: fault, isNews: true, previous: previous{fault: fault}}},
		{
			name: "a fault, first seen", change: change{err: fault, keysHold: half, anyHold: half},
			want: verdict{retryIn: half, previous: previous{faultSince: now}},
		},
		{
			name: "a fault, asked for explicitly", change: change{err: fault, anyHold: half}, explicit: true,
			want: verdict{err: fault, isNews: true, previous: previous{fault: fault}},
		},
		{
			name: "faults again and again", change: change{err: another, anyHold: whole}, previous: previous{faultSince: ago(half)},
			want: verdict{retryIn: whole - half, previous: previous{faultSince: ago(half)}},
		},
		{
			name: "faults for too long", change: change{err: another, anyHold: whole}, previous: previous{faultSince: ago(whole)},
			want: verdict{err: another, isNews: true, previous: previous{fault: another}},
		},
		{
			name: "another fault", change: change{err: another, anyHold: whole}, previous: previous{fault: fault},
			want: verdict{err: another, isNews: true, previous: previous{fault: another}},
		},
		{
			name: "a fault while a suspect change was pending", change: change{err: fault, anyHold: half},
			previous: previous{pending: next, pendingSince: ago(whole)},
			want:     verdict{retryIn: half, previous: previous{faultSince: now}},
		},

		{
			name: "a fault of Flowise beside a change", change: change{next: next, diff: differs, err: fault},
			want: verdict{apply: true, err: fault, isNews: true, previous: previous{fault: fault}},
		},
		{
			name: "a fault of Flowise, first seen, beside a change", change: change{next: next, diff: differs, err: fault, anyHold: half},
			want: verdict{apply: true, retryIn: half, previous: previous{faultSince: now}},
		},
		{
			name: "a fault of Flowise and nothing else", change: change{next: next, err: fault}, previous: previous{fault: fault},
			want: verdict{err: fault, previous: previous{fault: fault}},
		},
		{
			name:     "a fault of Flowise beside a suspect change",
			change:   change{next: next, diff: differs, isSuspect: true, err: fault, keysHold: half, anyHold: whole},
			previous: previous{faultSince: ago(settleTime / 4)},
			want:     verdict{retryIn: half, previous: previous{pending: next, pendingSince: now, faultSince: ago(settleTime / 4)}},
		},
		{
			name: "a fault of Flowise beside a suspect change, asked for explicitly", explicit: true,
			change: change{next: next, diff: differs, isSuspect: true, err: fault, keysHold: half, anyHold: half},
			want:   verdict{apply: true, err: fault, isNews: true, previous: previous{fault: fault}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.change.at = now
			if got := judge(test.change, test.previous, test.explicit); got != test.want {
				t.Errorf("judge(%+v, %+v, explicit %t) =\n%+v, want\n%+v", test.change, test.previous, test.explicit, got, test.want)
			}
		})
	}
}
