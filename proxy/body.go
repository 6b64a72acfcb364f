package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// bodyIdle is how long a request body may stop arriving. There is no limit on the whole: an upload
// over a slow line may take its time.
const bodyIdle = 60 * time.Second

// body is a request body on its way upstream: it is never held, must not be larger than the limit
// and must not stall. What went wrong is kept, because the transport that reads it reports it in
// words of its own.
type body struct {
	io.ReadCloser
	request  *http.Request
	original io.ReadCloser
	writer   http.ResponseWriter   // of the answer: the way to the connection's deadline
	until    time.Time             // when all of it must be here; zero for no limit on the whole
	begun    time.Time             // when the request came
	progress atomic.Int64          // when the last piece of it came, in nanoseconds since then
	whole    atomic.Bool           // all of it was read
	failed   atomic.Pointer[error] // the transport may be reading while the answer is on its way

	waiting atomic.Bool // for more of the body
	reading sync.Mutex  // held by a Read
	ended   atomic.Bool // no Read may begin
}

// limitBody puts the limits on the body of r, which w answers.
func limitBody(w http.ResponseWriter, r *http.Request, begun time.Time, limit int64) *body {
	b := &body{
		begun: begun,
		// Without w, to which it would write from the goroutine that reads, while the handler writes its answer.
		ReadCloser: http.MaxBytesReader(nil, r.Body, limit),
		request:    r,
		original:   r.Body,
		writer:     w,
	}
	b.whole.Store(r.Body == http.NoBody)
	r.Body = b
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	switch { // the request may be over, and in HTTP/2 there is nothing left then to set a deadline on
	case b.whole.Load():
		return 0, io.EOF
	case b.ended.Load():
		return 0, http.ErrBodyReadAfterClose
	}
	deadline := time.Now().Add(bodyIdle)
	if !b.until.IsZero() && b.until.Before(deadline) {
		deadline = b.until
	}
	_ = b.setDeadline(deadline) // not supported: there is no connection to stall
	if b.ended.Load() {         // meanwhile; refuse waits for this Read, and has the last word about the deadline
		return 0, http.ErrBodyReadAfterClose
	}
	b.waiting.Store(true)
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		// The server goes on reading after the body to learn of a caller that leaves; left in
		// place, the deadline would end a stream that is still being answered.
		b.whole.Store(true)
		_ = b.setDeadline(time.Time{})
	case err != nil:
		b.failed.Store(&err)
	}
	b.progress.Store(int64(time.Since(b.begun)))
	b.waiting.Store(false) // after progress, or the time of the wait would count for the runner
	return n, err
}

// idle is how long ago the last piece came, or the request if none did.
func (b *body) idle() time.Duration { return time.Since(b.begun) - time.Duration(b.progress.Load()) }

// leaveDue reports whether the caller may not have been told yet to send the body (RFC 9110, section 10.1.1).
func (b *body) leaveDue() bool {
	return len(b.request.Header["Expect"]) > 0 && !b.whole.Load() && b.progress.Load() == 0
}

// setDeadline sets when the connection must have given more of the body.
func (b *body) setDeadline(t time.Time) error {
	return http.NewResponseController(b.writer).SetReadDeadline(t)
}

// err returns what went wrong with the body, or nil.
func (b *body) err() error {
	if p := b.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// unwanted is how long the rest of a body may keep the answer to a refused request waiting.
const unwanted = 250 * time.Millisecond

// refuse prepares for an answer to a request whose body nobody wants. Before net/http answers it
// reads what is left of a short body, so that the connection can be used again. A caller who does
// not send it must not hold the connection by that: past the deadline the connection is closed after
// the answer. The server's own body is put back, by which it knows whether the caller waits for
// 100 Continue before it sends anything.
func (b *body) refuse() {
	if b.whole.Load() || b.ended.Swap(true) {
		return
	}
	// The transport may be in a Read. It must be out of it before the handler ends, or net/http ends
	// it, clears the deadline, and waits for the rest of the body for ever.
	if !b.reading.TryLock() {
		_ = b.setDeadline(time.Unix(1, 0))
		b.reading.Lock()
	}
	defer b.reading.Unlock()
	b.request.Body = b.original
	_ = b.setDeadline(time.Now().Add(unwanted))
}

// settle is refuse, and waits for a Read that is just ending: it must not set a deadline on what is no request any more.
func (b *body) settle() {
	b.refuse()
	b.reading.Lock()
	defer b.reading.Unlock()
}

// bodyError says what went wrong with a request body.
func bodyError(err error) *Error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &Error{Code: CodeBodyTooLarge, Detail: "the request body is larger than allowed here"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return badRequest("the request body stopped arriving")
	}
	// The error's own words may repeat what the caller sent, and stay out of the log for that.
	return &Error{Code: CodeBadRequest, Detail: "the request body could not be read", Reason: "the body is malformed, or its end never came"}
}
