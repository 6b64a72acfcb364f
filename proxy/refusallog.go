package proxy

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// How many requests of callers without a valid key are logged one by one: refused ones, of each code, and those
// that need none. The rest is counted in a line every refusalSummary.
const (
	refusalBurst   = 100 // lines at once
	refusalRate    = 10  // lines a second after that
	refusalSummary = 10 * time.Second
)

// refusalLog says which of these requests get a line of their own. Each code has its own allowance: a flood of
// one does not hide the others. Its methods may be called concurrently.
type refusalLog struct {
	log zerolog.Logger

	mu     sync.Mutex // guards what follows
	codes  map[Code]*allowance
	waking bool // a summary is due
}

// allowance is what is left of a code's lines.
type allowance struct {
	lines float64
	at    time.Time // when lines was right
	left  int64     // requests not logged since the last summary
}

// allow reports whether a request gets a line at now.
func (l *refusalLog) allow(code Code, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.codes[code]
	if a == nil {
		if l.codes == nil {
			l.codes = map[Code]*allowance{}
		}
		a = &allowance{lines: refusalBurst, at: now}
		l.codes[code] = a
	}
	if passed := now.Sub(a.at); passed > 0 {
		a.lines, a.at = min(a.lines+passed.Seconds()*refusalRate, refusalBurst), now
	}
	if a.lines >= 1 {
		a.lines--
		return true
	}
	a.left++
	if !l.waking {
		l.waking = true
		time.AfterFunc(refusalSummary, l.summarise)
	}
	return false
}

// summarise logs how many requests got no line since it last did.
func (l *refusalLog) summarise() {
	codes := zerolog.Dict()
	var all int64
	l.mu.Lock()
	for code, a := range l.codes {
		if a.left > 0 {
			codes.Int64(string(code), a.left)
			all += a.left
			a.left = 0
		}
	}
	l.waking = false
	l.mu.Unlock()
	if all > 0 {
		l.log.Warn().Int64("requests", all).Dict("codes", codes).
			Msg("requests that were refused, or let in without a key, too many to log one by one; flowlatch_requests_total counts them all")
	}
}
