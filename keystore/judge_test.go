package keystore

import (
	"errors"
	"testing"
	"time"
)

// A judgement knows no files: each row says what a file holds, what earlier judgements left, and what to do.
func TestJudge(t *testing.T) {
	const half, whole = settleTime / 2, settleTime
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	next := &Snapshot{keys: []*Key{{ID: "a", Terms: &noTerms}}}
	same := &Snapshot{keys: []*Key{{ID: "a", Terms: &noTerms}}} // as next, in other bytes
	other := &Snapshot{keys: []*Key{{ID: "b", Terms: &noTerms}}}
	fault, another := errors.New("fault"), errors.New("another")

	for _, test := range []struct {
		name     string
		change   change
		previous previous
		explicit bool
		want     verdict
	}{
		{
			name: "nothing but that the fault is still there", change: change{err: fault}, previous: previous{fault: fault},
			want: verdict{err: fault, previous: previous{fault: fault}},
		},
		{name: "a change", change: change{next: next}, want: verdict{apply: true}},
		{name: "a change of comments", change: change{next: next}, want: verdict{apply: true}},
		{
			name: "a change, written in place just now", change: change{next: next, hold: whole},
			want: verdict{apply: true},
		},
		{
			name: "a change after a fault", change: change{next: next}, previous: previous{fault: fault},
			want: verdict{apply: true},
		},

		{name: "a suspect change in a file that was renamed", change: change{next: next, isSuspect: true}, want: verdict{apply: true}},
		{
			name: "a suspect change, asked for explicitly", change: change{next: next, isSuspect: true, hold: whole}, explicit: true,
			want: verdict{apply: true},
		},
		{
			name: "a suspect change, first seen", change: change{next: next, isSuspect: true, hold: half},
			want: verdict{retryIn: half, previous: previous{pending: next, pendingSince: now}},
		},
		{
			name: "a suspect change that stays", change: change{next: next, isSuspect: true, hold: half},
			previous: previous{pending: next, pendingSince: ago(whole - 1)},
			want:     verdict{retryIn: 1, previous: previous{pending: next, pendingSince: ago(whole - 1)}},
		},
		{
			name: "a suspect change that is written again and again", change: change{next: next, isSuspect: true, hold: whole},
			previous: previous{pending: same, pendingSince: ago(whole)},
			want:     verdict{apply: true},
		},
		{
			name: "a suspect change after another one", change: change{next: next, isSuspect: true, hold: half},
			previous: previous{pending: other, pendingSince: ago(whole)},
			want:     verdict{retryIn: half, previous: previous{pending: next, pendingSince: now}},
		},
		{
			name: "a suspect change in an unchanged file", change: change{next: next, isSuspect: true, hold: -1},
			previous: previous{pending: next, pendingSince: now},
			want:     verdict{apply: true},
		},
		{
			name: "a suspect change after a fault", change: change{next: next, isSuspect: true, hold: half},
			previous: previous{fault: fault},
			want:     verdict{retryIn: half, previous: previous{fault: fault, pending: next, pendingSince: now}},
		},
		{name: "a fault in a file that was renamed", change: change{err: fault}, want: verdict{err: fault, isNews: true, previous: previous{fault: fault}}},
		{
			name: "a fault, first seen", change: change{err: fault, hold: half},
			want: verdict{retryIn: half, previous: previous{faultSince: now}},
		},
		{
			name: "a fault, asked for explicitly", change: change{err: fault, hold: half}, explicit: true,
			want: verdict{err: fault, isNews: true, previous: previous{fault: fault}},
		},
		{
			name: "faults again and again", change: change{err: another, hold: whole}, previous: previous{faultSince: ago(half)},
			want: verdict{retryIn: whole - half, previous: previous{faultSince: ago(half)}},
		},
		{
			name: "faults for too long", change: change{err: another, hold: whole}, previous: previous{faultSince: ago(whole)},
			want: verdict{err: another, isNews: true, previous: previous{fault: another}},
		},
		{
			name: "another fault", change: change{err: another, hold: whole}, previous: previous{fault: fault},
			want: verdict{err: another, isNews: true, previous: previous{fault: another}},
		},
		{
			name: "a fault while a suspect change was pending", change: change{err: fault, hold: half},
			previous: previous{pending: next, pendingSince: ago(whole)},
			want:     verdict{retryIn: half, previous: previous{faultSince: now}},
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
