package keystore

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits limit the use of a key, of a chatflow by all its keys together, of a chatflow by each client address, or of a
// key by each user of browser tokens. The zero value limits nothing.
type Limits struct {
	// Rates are how often requests may begin.
	Rates []Rate
	// Quotas are how much may be used in a calendar period.
	Quotas []Quota
	// Concurrent is how many requests may be at the upstream at once, streams included. Zero means any number.
	Concurrent int
	// Stream is how long a response may last. Zero means any time.
	Stream time.Duration
	// Observe says that whatever exceeds a limit is counted, logged and shown, but not refused.
	Observe bool
}

// Rate lets N requests begin at once, and N more, spread evenly, over each Per.
type Rate struct {
	N   int64
	Per time.Duration
}

// String returns the rate as it is written in a key file.
func (r Rate) String() string { return strconv.FormatInt(r.N, 10) + "/" + shortDuration(r.Per) }

// Quota allows N of a unit in each period, which begins at 00:00 UTC. Requests that have begun when it is used up may
// finish.
type Quota struct {
	N      int64
	Unit   Unit
	Period Period
}

// String returns the quota as it is written in a key file, without the name of its unit.
func (q Quota) String() string { return amountString(q.N, q.Unit) + "/" + q.Period.String() }

// byteUnits are the units in which bytes may be given. The first is 1024 bytes, and each other is 1024 times the one
// before it.
var byteUnits = []string{"KiB", "MiB", "GiB", "TiB"}

// amountString returns an amount of a unit as it is written in a key file. Bytes are in the largest unit that gives a
// whole number.
func amountString(n int64, unit Unit) string {
	suffix := ""
	if unit == Bytes {
		for i := 0; i < len(byteUnits) && n%1024 == 0; i++ {
			n, suffix = n/1024, byteUnits[i]
		}
	}
	return strconv.FormatInt(n, 10) + suffix
}

// MaxCount is the largest number that is exact everywhere: Redis, and many readers of JSON, hold numbers as 64-bit
// floating point.
const MaxCount = 1 << 53

// Unit is what a [Quota] counts.
type Unit uint8

// The units.
const (
	Requests      Unit = iota
	StreamSeconds      // from when a request is sent upstream until its response has ended
	Bytes              // of request and response bodies
	Units         = iota
)

// String returns the unit as it is written in a key file.
func (u Unit) String() string { return [Units]string{"requests", "stream_seconds", "bytes"}[u] }

// Period is a calendar period.
type Period uint8

// The periods. A week begins on Monday.
const (
	Day Period = iota
	Week
	Month
	Periods = iota
)

// String returns the period as it is written in a key file.
func (p Period) String() string { return [Periods]string{"day", "week", "month"}[p] }

// ParsePeriod returns the period that a key file writes as s.
func ParsePeriod(s string) (Period, bool) {
	for p := range Period(Periods) {
		if p.String() == s {
			return p, true
		}
	}
	return 0, false
}

// Empty reports whether l, which may be nil, limits nothing.
func (l *Limits) Empty() bool {
	return l == nil || len(l.Rates) == 0 && len(l.Quotas) == 0 && l.Concurrent == 0 && l.Stream == 0
}

// lacks reports whether l lacks a limit of o, or no longer enforces it. A limit with another value is no loss.
func (l *Limits) lacks(o *Limits) bool {
	if o.Empty() {
		return false
	}
	return l.Empty() || l.Observe && !o.Observe || len(l.Rates) < len(o.Rates) || len(l.Quotas) < len(o.Quotas) ||
		l.Concurrent == 0 && o.Concurrent > 0 || l.Stream == 0 && o.Stream > 0
}

// String returns the limits in one line, for people.
func (l *Limits) String() string {
	if l.Empty() {
		return "none"
	}
	var parts []string
	for _, r := range l.Rates {
		parts = append(parts, r.String()+" requests")
	}
	for _, q := range l.Quotas {
		parts = append(parts, q.String()+" "+strings.ReplaceAll(q.Unit.String(), "_", " "))
	}
	if l.Concurrent > 0 {
		parts = append(parts, fmt.Sprintf("%d at once", l.Concurrent))
	}
	if l.Stream > 0 {
		parts = append(parts, shortDuration(l.Stream)+" a response")
	}
	if l.Observe {
		parts = append(parts, "not enforced")
	}
	return strings.Join(parts, ", ")
}

func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
