package proxy

import (
	"errors"
	"os"
	"sync"
	"time"
)

// writeIdle is how long a client may take to read one part of a response. There is no limit for the whole response, and
// none while the upstream is silent. But a client that does not read makes the upstream hold the response in memory.
const writeIdle = 60 * time.Second

// writeDeadline ends a write that blocks for too long. In HTTP/1, a deadline that passes while nothing is being written
// does no harm. In HTTP/2 it would end the stream, so there a timer runs only during writes.
type writeDeadline struct {
	set   time.Time // HTTP/1: when the deadline was last set
	timer *time.Timer

	mu      sync.Mutex // guards the fields below
	writing bool
	expired bool
}

// arm sets the deadline for the next write. net/http removes it after the request.
func (d *writeDeadline) arm(w *responseWriter) {
	now := time.Now()
	if w.http1 {
		if now.Sub(d.set) > time.Second { // precise enough, and avoids setting a runtime timer each time
			d.set = now
			_ = w.control.SetWriteDeadline(now.Add(w.writeLimit)) // an error means that there is no connection to stall
		}
		return
	}
	d.mu.Lock()
	d.writing = true
	d.mu.Unlock()
	if d.timer != nil {
		d.timer.Reset(w.writeLimit)
		return
	}
	d.timer = time.AfterFunc(w.writeLimit, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.writing { // else the write has just ended, and the stream may be gone
			d.expired = true
			w.abortWrites()
		}
	})
}

// disarm ends what arm began, and reports whether the write was given up.
func (d *writeDeadline) disarm() bool {
	if d.timer == nil {
		return false
	}
	d.timer.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing = false
	return d.expired
}

// noteWrite notes the result of a write.
func (w *responseWriter) noteWrite(err error) {
	expired := w.deadline.disarm()
	w.failed = w.failed || err != nil
	w.stalled = w.stalled || expired || errors.Is(err, os.ErrDeadlineExceeded)
}

// abortWrites ends a write that is blocked because the client does not read. It may be called from another goroutine than
// the one that serves the request, as long as that one does.
func (w *responseWriter) abortWrites() {
	_ = w.control.SetWriteDeadline(time.Unix(1, 0))
}

// end sets the deadline for what net/http writes after the handler has returned. In HTTP/1, that is the end of a
// response, and the last deadline may have passed while the upstream was silent. In HTTP/2, it may be a whole short
// response, to a client that grants no window for it and whose stream would stay open forever.
func (w *responseWriter) end() {
	if w.hijacked || w.flushed {
		return
	}
	if w.http1 && time.Since(w.deadline.set) < w.writeLimit/2 {
		return
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(w.writeLimit))
}
