package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/proxy/header"
)

// responseWriter passes a response on to the client, adds the gate's own headers, and notes what became of it.
// ReverseProxy may flush it from another goroutine, but never while it writes.
type responseWriter struct {
	http.ResponseWriter
	exchange *exchange
	request  *http.Request
	control  *http.ResponseController // of the server's writer
	http1    bool

	status        int // 0 until the response begins
	firstByte     time.Time
	bytes         int64
	stream        bool // an event stream or websocket
	betweenEvents bool // the last write ended an event
	hijacked      bool
	fullDuplex    bool // the response may begin before the request body has ended, and net/http leaves the rest of the body to us
	failed        bool // a write failed
	stalled       bool // the client did not read in time
	flushed       bool // everything that may block on the client has been flushed

	wantsOwnKey bool // the upstream says in the body that it wants a key of its own

	deadline   writeDeadline
	writeLimit time.Duration // how long the client may take to read what was written
}

func (w *responseWriter) begin(rw http.ResponseWriter, r *http.Request, x *exchange) {
	w.ResponseWriter, w.request, w.exchange = rw, r, x
	w.control, w.http1, w.writeLimit = http.NewResponseController(rw), r.ProtoMajor == 1, writeIdle
	if r.TLS != nil {
		_ = w.control.SetWriteDeadline(time.Time{}) // replaces the server's: see Proxy.secure
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the header of a response.
func (w *responseWriter) WriteHeader(status int) {
	if status < 200 {
		w.writeInterim(status)
		return
	}
	if w.status == 0 {
		h := w.Header()
		w.status, w.firstByte = status, time.Now()
		if h.Get("Content-Type") == "" {
			h["Content-Type"] = nil // else net/http guesses one if the upstream sent none
		}
		w.exchange.addHeader(h)
		// The rest of a request body must not be taken for the next request. If a chunked body also had a length, which
		// net/http does not report, or came in HTTP/1.0, a proxy before the gate may think that more follows (RFC 9112,
		// section 6.1). In HTTP/2, the end of a stream is unambiguous, and the header would end the connection.
		unread := !w.exchange.body.Whole() && (w.fullDuplex || !w.exchange.body.IsShort())
		if w.http1 && (unread || len(w.request.TransferEncoding) > 0 || !w.request.ProtoAtLeast(1, 1)) {
			h["Connection"] = []string{"close"}
		}
		if mediaType(h) == "text/event-stream" {
			w.exchange.beginStream()
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// writeInterim passes on an interim response (1xx), unless the client would misread it. ReverseProxy clears the header
// afterwards.
func (w *responseWriter) writeInterim(status int) {
	switch {
	case !w.request.ProtoAtLeast(1, 1):
		return // HTTP/1.0 has no interim responses, and takes one for the response (RFC 9110, section 15.2)
	case w.http1 && w.exchange.body.AwaitingContinue():
		return // it would collide with the 100 that net/http writes when the body is first read
	}
	h := w.Header()
	header.CleanInterim(h, w.exchange.proxy.cors != nil)
	// An interim response has no Content-Length, so net/http leaves it out, and copies the header for that. This makes it do
	// so, because ReverseProxy clears the map while HTTP/2 may still be writing to a client that has just left.
	h["Content-Length"] = []string{"0"}
	w.deadline.arm(w)
	w.ResponseWriter.WriteHeader(status)
	w.noteWrite(nil)
}

// Write sends a part of the response's body.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.bytes == 0 && (w.stream || w.status == http.StatusInternalServerError) {
		w.noteBeginning(p)
	}
	w.deadline.arm(w)
	n, err := w.ResponseWriter.Write(p)
	if w.request.Method != http.MethodHead { // net/http accepts the body and sends nothing
		w.bytes += int64(n)
	}
	w.betweenEvents = endsEvent(p)
	w.noteWrite(err)
	return n, err
}

// FlushError sends what is buffered. http.ResponseController finds it by this name.
func (w *responseWriter) FlushError() error {
	w.deadline.arm(w)
	err := w.control.Flush()
	w.noteWrite(err)
	return err
}

// Hijack takes over the client's connection, to switch protocols.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := w.control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.hijacked = true
	// When the request is cut, ReverseProxy closes the upstream's connection, but waits for a client that does not read.
	context.AfterFunc(w.exchange.ctx, func() { conn.Close() })
	w.status, w.firstByte = http.StatusSwitchingProtocols, time.Now()
	w.exchange.addHeader(w.Header())
	w.exchange.beginStream()
	// net/http may have read more than the request. What follows is read from the connection itself, because net/http's
	// reader takes a client that has nothing more to send for one that has left.
	read := io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered()))
	return &hijackedConn{Conn: conn, reader: io.MultiReader(read, conn)}, buffered, nil
}

// addHeader adds the gate's headers to a response: the request ID, the CORS headers if the gate sets them, nosniff, when
// the presented secret ends, and what is left of limits. nosniff is needed because Flowise serves uploads without a
// Content-Type, including HTML.
func (x *exchange) addHeader(h http.Header) {
	x.proxy.cors.Allow(x.response.ResponseWriter, x.response.request)
	h["X-Request-Id"], h["X-Content-Type-Options"] = []string{x.id}, noSniff
	x.announceEnd(h)
	x.addLimitHeader(h)
	if x.question.Page.Cookie {
		header.KeepPrivate(h)
	}
}

// announceEnd tells the client that its secret has a successor and will end: Deprecation (RFC 9745) says since when there
// is another secret, Sunset (RFC 8594) when this one ends.
func (x *exchange) announceEnd(h http.Header) {
	if !x.Allowed || x.Secret == nil {
		return
	}
	since, superseded := x.Secret.Superseded(x.started)
	if !superseded {
		return
	}
	if since.IsZero() {
		since = x.snapshot.Loaded
	}
	h.Set("Deprecation", "@"+strconv.FormatInt(since.Unix(), 10))
	h.Set("Sunset", x.Secret.NotAfter().Format(http.TimeFormat))
}

var noSniff = []string{"nosniff"} // must not be changed

func mediaType(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}
