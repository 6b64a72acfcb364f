package proxy

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"time"
)

// sendIdle is how long a caller may take to read what is sent to it, a piece at a time. There is no limit
// on the whole, and none while the runner is silent: but a caller that does not read holds the runner's
// answer, in the runner's memory.
const sendIdle = 60 * time.Second

// sending puts off the deadline for what is sent now; net/http takes it back after the request. One that
// passes while nothing is sent does no harm in HTTP/1; in HTTP/2 it would end the stream, so there a
// timer runs only while something is sent.
func (r *record) sending() {
	if !r.http1 {
		r.stall.begin(r)
		return
	}
	// To the second is exact enough, and costs a system's timer only once in it.
	if now := time.Now(); now.Sub(r.deadlineSet) > time.Second {
		r.deadlineSet = now
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(now.Add(sendIdle)) // not supported: nothing to stall
	}
}

// lastSending is sending for what net/http sends after the request has been served: by HTTP/1 the end of an answer,
// for which the deadline may have passed while the runner was silent, and by HTTP/2 maybe a whole short answer, to
// a caller who opens no window for it; its stream would stay for ever.
func (r *record) lastSending() {
	now := time.Now()
	if r.http1 && (r.deadlineSet.IsZero() || now.Sub(r.deadlineSet) < sendIdle/2) {
		return
	}
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(now.Add(sendIdle))
}

// stopSending ends a write that waits for a caller who does not read. It may be called by another
// goroutine than the one that serves the request, as long as that does.
func (r *record) stopSending() {
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
}

// sent notes how sending went.
func (r *record) sent(err error) {
	if !r.http1 {
		r.stalled = r.stall.end() || r.stalled
	}
	r.gone = r.gone || err != nil
	r.stalled = r.stalled || errors.Is(err, os.ErrDeadlineExceeded)
}

// FlushError sends what is buffered. http.ResponseController finds it by this name.
func (r *record) FlushError() error {
	r.sending()
	err := http.NewResponseController(r.ResponseWriter).Flush()
	r.sent(err)
	return err
}

// stall ends an HTTP/2 stream to which a piece is sent for too long.
type stall struct {
	timer *time.Timer

	mu      sync.Mutex // guards what follows
	sending bool
	stalled bool
}

func (s *stall) begin(r *record) {
	s.mu.Lock()
	s.sending = true
	s.mu.Unlock()
	if s.timer != nil {
		s.timer.Reset(sendIdle)
		return
	}
	s.timer = time.AfterFunc(sendIdle, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sending { // or it was sent just now, and the stream may be gone
			s.stalled = true
			r.stopSending()
		}
	})
}

// end reports whether sending was given up.
func (s *stall) end() bool {
	s.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending = false
	return s.stalled
}
