package limit

import (
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// What is counted in a period: the units of quotas, and one more.
const (
	refused = keystore.Units // requests refused because a limit was exceeded
	counts  = refused + 1
)

// period is what was used in a calendar period.
type period struct {
	end  int64 // seconds since 1970, UTC; zero before the first use
	used [counts]int64
}

// longest is how long a period can be, in seconds.
var longest = [keystore.Periods]int64{keystore.Day: 24 * 3600, keystore.Week: 7 * 24 * 3600, keystore.Month: 31 * 24 * 3600}

// lasts reports whether p is still the period to count in at now, in seconds since 1970. A clock that is set back does
// not reopen the period before. But if it is set back by more than a period, it was wrong before, and p would last too
// long.
func (p *period) lasts(kind keystore.Period, now int64) bool {
	left := p.end - now
	return left > 0 && left <= 2*longest[kind]
}

// start returns when p began.
func (p *period) start(kind keystore.Period) int64 {
	start, _ := bounds(kind, time.Unix(p.end-1, 0))
	return start.Unix()
}

// unused reports whether nothing was counted in p.
func (p *period) unused() bool { return p.used == [counts]int64{} }

// add adds what was counted in another period.
func (p *period) add(o period) {
	for count := range p.used {
		p.used[count] += o.used[count]
	}
}

// bounds returns the calendar period that contains t, in UTC.
func bounds(kind keystore.Period, t time.Time) (start, end time.Time) {
	year, month, day := t.UTC().Date()
	switch kind {
	case keystore.Month:
		start = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return start, start.AddDate(0, 1, 0)
	case keystore.Week:
		sinceMonday := (int(t.UTC().Weekday()) + 6) % 7
		start = time.Date(year, month, day-sinceMonday, 0, 0, 0, 0, time.UTC)
		return start, start.AddDate(0, 0, 7)
	default:
		start = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		return start, start.AddDate(0, 0, 1)
	}
}
