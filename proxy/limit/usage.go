package limit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// monthsKept is the number of past months for which usage is kept.
const monthsKept = 13

// Usage is what a key or a chatflow used in a calendar period.
type Usage struct {
	Kind   string `json:"kind"` // key or chatflow
	ID     string `json:"id"`
	Period string `json:"period"` // day, week or month
	// Start is the first day of the period, in UTC.
	Start string `json:"start"`
	// Requests were sent to the upstream, Refused were refused because a limit was exceeded.
	Requests int64 `json:"requests"`
	Refused  int64 `json:"refused"`
	// StreamMillis is the time that requests spent at the upstream, in milliseconds.
	StreamMillis int64 `json:"stream_ms"`
	// Bytes are those of request and response bodies.
	Bytes int64 `json:"bytes"`
}

// usage returns what was used in a period, here and at other gates.
func (a *account) usage(kind keystore.Period, p period, others [counts]int64) Usage {
	u := Usage{Kind: a.kind.String(), ID: a.id, Period: kind.String(), Start: time.Unix(p.start(kind), 0).UTC().Format(time.DateOnly)}
	for count := range counts {
		*u.count(count) = p.used[count] + others[count]
	}
	return u
}

// Usage returns what all keys and chatflows used in the current periods and in past months, sorted. The error is always
// nil.
func (l *Local) Usage(_ context.Context, now time.Time) ([]Usage, error) {
	var all []Usage
	add := func(a *account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.enterPeriods(now)
		for _, p := range a.past {
			all = append(all, a.usage(keystore.Month, p, [counts]int64{}))
		}
		for kind := range keystore.Period(keystore.Periods) {
			var others [counts]int64
			if a.others != nil {
				others = a.others.used[kind]
			}
			if p := a.periods[kind]; p.used != [counts]int64{} || others != [counts]int64{} {
				all = append(all, a.usage(kind, p, others))
			}
		}
	}
	l.keys.each(add)
	l.chatflows.each(add)
	sortUsage(all)
	return all, nil
}

// sortUsage sorts by kind, keys first, ID, period and start.
func sortUsage(all []Usage) {
	slices.SortFunc(all, func(a, b Usage) int {
		return cmp.Or(-cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Period, b.Period), cmp.Compare(a.Start, b.Start))
	})
}

// count returns the field of u that holds this count.
func (u *Usage) count(count int) *int64 {
	return [counts]*int64{keystore.Requests: &u.Requests, keystore.StreamSeconds: &u.StreamMillis, keystore.Bytes: &u.Bytes, refused: &u.Refused}[count]
}

// Restore adds usage that was saved before a restart. It must be called before any request. The error names the entry
// that is invalid or that repeats another one.
func (l *Local) Restore(all []Usage) error {
	type period struct{ kind, id, period, start string }
	entries := make(map[period]int, len(all))
	for n, u := range all {
		p := period{u.Kind, u.ID, u.Period, u.Start}
		err := l.restore(u)
		if first, twice := entries[p]; twice {
			err = fmt.Errorf("entry %d is of the same %s", first, u.Period)
		}
		if err != nil {
			return fmt.Errorf("entry %d (%s %q): %w", n+1, u.Kind, u.ID, err)
		}
		entries[p] = n + 1
	}
	return nil
}

func (l *Local) restore(u Usage) error {
	h := Holder{Kind: Key, ID: u.ID}
	switch u.Kind {
	case Key.String():
	case Chatflow.String():
		h.Kind = Chatflow
	default:
		return fmt.Errorf("kind %q is neither key nor chatflow", u.Kind)
	}
	period, known := keystore.ParsePeriod(u.Period)
	if !known {
		return fmt.Errorf("period %q is not day, week or month", u.Period)
	}
	t, err := time.Parse(time.DateOnly, u.Start)
	if err != nil {
		return fmt.Errorf("start %q is not a date such as 2026-11-28", u.Start)
	}
	start, end := bounds(period, t)
	if !start.Equal(t) {
		return fmt.Errorf("start %q is not the first day of a %s", u.Start, u.Period)
	}
	if least := min(u.Requests, u.Refused, u.StreamMillis, u.Bytes); least < 0 {
		return fmt.Errorf("a number is negative or missing")
	}
	if most := max(u.Requests, u.Refused, u.StreamMillis, u.Bytes); most > keystore.MaxCount {
		return fmt.Errorf("%d is more than can be counted, which is %d", most, int64(keystore.MaxCount))
	}
	a := l.account(&h)
	a.mu.Lock()
	defer a.mu.Unlock()
	earlier, last := periodOf(u, end), &a.periods[period]
	if earlier.end > last.end {
		earlier, *last = *last, earlier
	}
	if period == keystore.Month {
		a.keepPast(earlier)
	}
	return nil
}

func periodOf(u Usage, end time.Time) period {
	p := period{end: end.Unix()}
	for count := range counts {
		p.used[count] = *u.count(count)
	}
	return p
}
