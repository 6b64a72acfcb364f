package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// bodyIdle is how long a request body may stop arriving. There is no limit on the whole: an upload over a slow line
// may take its time.
const bodyIdle = 60 * time.Second

// requestBody is a request body on its way upstream. It is not held in memory, must not exceed a size and must not
// stall.
//
// A body is open until it is whole (read to its end) or ended (the request needs no more of it). Once it is either,
// no Read reaches the server's body any more: the request may be over, and HTTP/2 has nothing left then to set a
// deadline on. An error of a Read is kept, because the transport that reads the body reports it in its own words.
type requestBody struct {
	request *http.Request
	server  io.ReadCloser            // the body as net/http made it
	limit   int64                    // bytes
	limited io.Reader                // server, up to the limit; nil before the first Read
	conn    *http.ResponseController // sets read deadlines
	client  netip.Addr               // its address
	begun   time.Time                // when the request began
	until   time.Time                // when all of it must have arrived; zero for no limit on the whole

	discarded bool // what was left of it has been read and thrown away

	reading sync.Mutex // held by a Read
	whole   atomic.Bool
	ended   atomic.Bool
	failure atomic.Pointer[error] // the transport may be reading while the response is on its way

	bytes    atomic.Int64 // that were read
	waiting  atomic.Bool  // a Read waits for the client
	progress atomic.Int64 // when a Read last returned, in nanoseconds since begun
}

// begin puts b, which has no more bytes than limit, in place of the body of r, whose connection conn controls.
func (b *requestBody) begin(conn *http.ResponseController, r *http.Request, begun time.Time, limit int64) {
	b.request, b.server, b.conn, b.begun, b.limit = r, r.Body, conn, begun, limit
	b.whole.Store(r.Body == http.NoBody)
	r.Body = b
}

// Read reads from the client.
func (b *requestBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	switch {
	case b.whole.Load():
		return 0, io.EOF
	case b.ended.Load():
		return 0, http.ErrBodyReadAfterClose
	}
	deadline := time.Now().Add(bodyIdle)
	if !b.until.IsZero() && b.until.Before(deadline) {
		deadline = b.until
	}
	_ = b.conn.SetReadDeadline(deadline) // an error means that there is no connection to stall
	if b.ended.Load() {                  // meanwhile: end waits for this Read and then sets the last deadline
		return 0, http.ErrBodyReadAfterClose
	}
	if b.limited == nil {
		// Without the ResponseWriter, to which it would write from the goroutine that reads, while the handler writes
		// its response.
		b.limited = http.MaxBytesReader(nil, b.server, b.limit)
	}
	b.waiting.Store(true)
	n, err := b.limited.Read(p)
	b.bytes.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		// The server goes on reading to learn whether the client leaves. A deadline left in place would end a
		// stream that is still being sent.
		b.whole.Store(true)
		_ = b.conn.SetReadDeadline(time.Time{})
	case err != nil:
		failure := err // of its own, or each Read would make err on the heap
		b.failure.Store(&failure)
	}
	b.progress.Store(int64(time.Since(b.begun)))
	b.waiting.Store(false) // after progress, or the wait would count as the upstream's time
	return n, err
}

// Close does nothing: the server's body must stay open, since its Close waits for what the client has not sent.
func (b *requestBody) Close() error { return nil }

// idle is how long ago the client last sent something that was read, or how old the request is.
func (b *requestBody) idle() time.Duration {
	return time.Since(b.begun) - time.Duration(b.progress.Load())
}

// awaitingContinue reports whether the client may still wait for 100 Continue before it sends the body (RFC 9110,
// section 10.1.1).
func (b *requestBody) awaitingContinue() bool {
	return len(b.request.Header["Expect"]) > 0 && !b.whole.Load() && b.progress.Load() == 0
}

// err returns the error of a Read, or nil.
func (b *requestBody) err() error {
	if p := b.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// What net/http may still read of a body that nobody wants, so that the connection can be reused.
const (
	unreadTime = 250 * time.Millisecond
	unreadSize = 256 << 10 // bytes: net/http's own limit
)

// isShort reports whether the connection may be reused after a body that nobody wants.
func (b *requestBody) isShort() bool {
	return b.request.ContentLength >= 0 && b.request.ContentLength <= unreadSize
}

// end ends reading. It may be called more than once.
//
// Before net/http responds it reads the rest of a short body, so that the connection can be reused. A client that does
// not send the rest must not hold the connection by that, so the read deadline is near; the connection is closed after
// it. The server's own body is put back then, because it knows whether the client waits for 100 Continue. Where it is
// not, net/http closes the connection without a wait of 500 ms: see [connection.Lingering].
func (b *requestBody) end() {
	if b.whole.Load() || b.ended.Swap(true) {
		return
	}
	// The transport may be in a Read. That must return before the handler does, or net/http ends it, clears the
	// deadline, and waits for the rest of the body without end.
	if !b.reading.TryLock() {
		_ = b.conn.SetReadDeadline(time.Unix(1, 0))
		b.reading.Lock()
	}
	defer b.reading.Unlock()
	if b.isShort() {
		b.request.Body = b.server
	}
	_ = b.conn.SetReadDeadline(time.Now().Add(unreadTime))
}

// settle is end, and waits for a Read that is just returning: it must not set a deadline on a request that is over.
func (b *requestBody) settle() {
	b.end()
	b.reading.Lock()
	defer b.reading.Unlock()
}

// bodyError returns the refusal of a request whose body could not be read.
func bodyError(err error) *problem.Error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return bodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.New(problem.BadRequest, "the request body stopped arriving")
	}
	// The error's own text may repeat what the client sent, so it is not logged.
	return &problem.Error{Code: problem.BadRequest, Detail: "the request body could not be read", Reason: "the body is malformed or incomplete"}
}

var bodyTooLarge = problem.New(problem.BodyTooLarge, "the request body is larger than this gate accepts")
