package proxy

import (
	"errors"
	"net/http"
	"os"
	"time"
)

// sendIdle is how long a caller may take to read what is sent to it, a piece at a time. There is no limit
// on the whole, and none while the runner is silent: but a caller that does not read holds the runner's
// answer, in the runner's memory.
const sendIdle = 60 * time.Second

// sending puts off the deadline for what is sent now; net/http takes it back after the request. One that
// passes while nothing is sent does no harm in HTTP/1; in HTTP/2 it would end the stream, so there it is
// left to the server.
func (r *record) sending() {
	if !r.http1 {
		return
	}
	// To the second is exact enough, and costs a system's timer only once in it.
	if now := time.Now(); now.Sub(r.deadlineSet) > time.Second {
		r.deadlineSet = now
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(now.Add(sendIdle)) // not supported: nothing to stall
	}
}

// stopSending ends a write that waits for a caller who does not read. It may be called by another
// goroutine than the one that serves the request.
func (r *record) stopSending() {
	if r.http1 {
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
	}
}

// sent notes how sending went.
func (r *record) sent(err error) {
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
