package proxy

import (
	"errors"
	"os"
	"sync"
	"time"
)

// writeIdle is how long a client may take to read one piece of a response. There is no limit on the whole, and none
// while the upstream is silent: but a client that does not read holds the response in the upstream's memory.
const writeIdle = 60 * time.Second

// writeDeadline ends a write that waits for too long. In HTTP/1 a deadline that passes while nothing is written does no
// harm. In HTTP/2 it would end the stream, so there a timer runs only during a write.
type writeDeadline struct {
	set   time.Time // HTTP/1: when the deadline was last set
	timer *time.Timer

	mu      sync.Mutex // guards what follows
	writing bool
	expired bool
}

// arm sets the deadline for what is written next. net/http removes it after the request.
func (d *writeDeadline) arm(w *responseWriter) {
	now := time.Now()
	if w.http1 {
		if now.Sub(d.set) > time.Second { // exact enough, and saves setting a timer of the runtime
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
		if d.writing { // or the write has just ended, and the stream may be gone
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

// noteWrite notes how a write went.
func (w *responseWriter) noteWrite(err error) {
	expired := w.deadline.disarm()
	w.failed = w.failed || err != nil
	w.stalled = w.stalled || expired || errors.Is(err, os.ErrDeadlineExceeded)
}

// abortWrites ends a write that waits for a client that does not read. Another goroutine than the one that serves the
// request may call it, as long as that does.
func (w *responseWriter) abortWrites() {
	_ = w.control.SetWriteDeadline(time.Unix(1, 0))
}

// end sets the deadline for what net/http writes after the handler has returned: in HTTP/1 the end of a response, for
// which the last deadline may have passed while the upstream was silent; in HTTP/2 perhaps a whole short response, to a
// client that grants no window for it and whose stream would stay open without end.
func (w *responseWriter) end() {
	if w.hijacked || w.flushed {
		return
	}
	if w.http1 && time.Since(w.deadline.set) < w.writeLimit/2 {
		return
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(w.writeLimit))
}
