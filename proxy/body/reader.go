// Package body reads and checks the bodies of requests.
//
// A [Reader] is a body on its way upstream, with limits of size and time. If [Rules] ask for it, the body is read as a
// whole within a [Budget] of memory. The result is a [Buffered], which may name the chatflow, and whose members the rules
// allow or refuse. Each refusal is a [problem.Error]. Package proxy decides who may send a request, and what becomes of
// it.
package body

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/proxy/connection"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// bodyIdle is how long a request body may stop arriving. There is no limit for the whole body, because an upload over a
// slow line may take its time.
const bodyIdle = 60 * time.Second

// Reader is a request body on its way upstream. It is not held in memory, must not exceed a size and must not
// stall.
//
// A body is open until it is whole (read to its end) or ended (the request needs no more of it). After that, no Read
// reaches the server's body any more: the request may be over, and in HTTP/2 there is then nothing left to set a deadline
// on. The error of a Read is kept, because the transport that reads the body reports it in its own words.
type Reader struct {
	request *http.Request
	server  io.ReadCloser            // the body as net/http made it
	limit   int64                    // bytes
	limited io.Reader                // server, up to the limit; nil before the first Read
	conn    *http.ResponseController // sets read deadlines
	begun   time.Time                // when the request began
	until   time.Time                // when the whole body must have arrived; zero for no limit

	discarded bool // the rest of it has been read and thrown away

	reading sync.Mutex // held during a Read
	whole   atomic.Bool
	ended   atomic.Bool
	failure atomic.Pointer[error] // atomic, because the transport may be reading while the response is on its way

	bytes    atomic.Int64 // read so far
	waiting  atomic.Bool  // a Read is waiting for the client
	progress atomic.Int64 // when a Read last returned, in nanoseconds since begun
}

// Begin replaces the body of r by b, which reads at most limit bytes. conn controls the connection of r, and begun is
// when r began. Begin must be called first.
func (b *Reader) Begin(conn *http.ResponseController, r *http.Request, begun time.Time, limit int64) {
	b.request, b.server, b.conn, b.begun, b.limit = r, r.Body, conn, begun, limit
	b.whole.Store(r.Body == http.NoBody)
	r.Body = b
}

// Read reads from the client.
func (b *Reader) Read(p []byte) (int, error) {
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
	_ = b.conn.SetReadDeadline(deadline) // an error means that there is no connection that could stall
	if b.ended.Load() {                  // End was called meanwhile: it waits for this Read and then sets the last deadline
		return 0, http.ErrBodyReadAfterClose
	}
	if b.limited == nil {
		// Without a ResponseWriter: MaxBytesReader would write to it from the goroutine that reads, while the handler
		// writes its response.
		b.limited = http.MaxBytesReader(nil, b.server, b.limit)
	}
	b.waiting.Store(true)
	n, err := b.limited.Read(p)
	b.bytes.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		// The server keeps reading to notice whether the client leaves. A deadline left in place would cut a stream that
		// is still being sent.
		b.whole.Store(true)
		_ = b.conn.SetReadDeadline(time.Time{})
	case err != nil:
		failure := err // a copy, else err would escape to the heap in every Read
		b.failure.Store(&failure)
	}
	b.progress.Store(int64(time.Since(b.begun)))
	b.waiting.Store(false) // after progress, or the wait would count as the upstream's time
	return n, err
}

// Close does nothing. The server's body must stay open, because its Close waits for what the client has not sent.
func (b *Reader) Close() error { return nil }

// Idle returns how long nothing has been awaited from the client: zero while a Read waits for it, else the time since a
// Read last returned or, before that, since the request began.
func (b *Reader) Idle() time.Duration {
	if b.waiting.Load() {
		return 0
	}
	return time.Since(b.begun) - time.Duration(b.progress.Load())
}

// Whole reports whether all of the body has been read.
func (b *Reader) Whole() bool { return b.whole.Load() }

// Received returns how many bytes were read.
func (b *Reader) Received() int64 { return b.bytes.Load() }

// AwaitingContinue reports whether the client may still be waiting for 100 Continue before it sends the body (RFC 9110,
// section 10.1.1).
func (b *Reader) AwaitingContinue() bool {
	return len(b.request.Header["Expect"]) > 0 && !b.whole.Load() && b.progress.Load() == 0
}

// Err returns the error of a Read, or nil.
func (b *Reader) Err() error {
	if p := b.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// How much net/http may still read of a body that nobody wants, so that the connection can be reused.
const (
	unreadTime = 250 * time.Millisecond
	unreadSize = 256 << 10 // bytes: net/http's own limit
)

// IsShort reports whether an unwanted body is short enough to reuse the connection after it.
func (b *Reader) IsShort() bool {
	return b.request.ContentLength >= 0 && b.request.ContentLength <= unreadSize
}

// End ends reading: when it returns, no Read is under way. It may be called more than once.
//
// Before net/http responds, it reads the rest of a short body, so that the connection can be reused. A client that does
// not send the rest must not hold the connection that way, so the read deadline is near, and the connection is closed
// when it passes. The server's own body is put back for that, because it knows whether the client waits for 100 Continue.
// If it is not put back, net/http closes the connection without its usual wait of 500 ms: see [connection.Lingering].
func (b *Reader) End() {
	if b.whole.Load() || b.ended.Swap(true) {
		b.reading.Lock() // a Read that is just returning must not set a deadline on a request that is over
		defer b.reading.Unlock()
		return
	}
	// The transport may be in a Read, which must return before the handler does. Otherwise net/http ends it, clears the
	// deadline, and waits forever for the rest of the body.
	if !b.reading.TryLock() {
		_ = b.conn.SetReadDeadline(time.Unix(1, 0))
		b.reading.Lock()
	}
	defer b.reading.Unlock()
	if b.IsShort() {
		b.request.Body = b.server
	}
	_ = b.conn.SetReadDeadline(time.Now().Add(unreadTime))
}

// How long the rest of a body may take to arrive in HTTP/2.
const (
	discardTime  = 5 * time.Second
	discardPause = time.Second // without a byte: a client that waits for the response sends nothing
)

// HasRest reports whether more of the body is to come that Discard could read.
func (b *Reader) HasRest() bool {
	return !b.whole.Load() && !b.discarded && !b.AwaitingContinue()
}

// Discard reads the rest of a body that nobody wants, in HTTP/2. Otherwise net/http resets the stream once it has sent
// the response (RFC 9113, section 8.1). Some clients then drop what they have not read yet: curl 7.88 loses the body of
// every fourth refusal.
func (b *Reader) Discard() {
	b.reading.Lock()
	defer b.reading.Unlock()
	b.discarded = true
	connection.Discard(b.server, b.conn.SetReadDeadline, 2*b.limit, discardPause, discardTime)
}

// Drop makes the server release everything that it holds of the body. In HTTP/1 it would wait for the rest.
func (b *Reader) Drop() { _ = b.server.Close() }

// Refusal returns the refusal of a request whose body could not be read.
func Refusal(err error) *problem.Error {
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return TooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.New(problem.BadRequest, "the request body stopped arriving")
	}
	// The error's own text may repeat what the client sent, so it is not logged.
	return &problem.Error{Code: problem.BadRequest, Detail: "the request body could not be read", Reason: "the body is malformed or incomplete"}
}

// TooLarge is the refusal of a body that is larger than any may be.
var TooLarge = problem.New(problem.BodyTooLarge, "the request body is larger than this gate accepts")
