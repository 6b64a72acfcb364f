package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/keystore"
)

// record is what is written of one request: a log line and counters, once, when it ends. It stands
// between the handler and the caller to see the answer go by.
type record struct {
	http.ResponseWriter
	proxy   *Proxy
	method  string
	id      string
	trace   trace // the caller's
	client  netip.Addr
	started time.Time
	first   time.Time // when the head of the answer was written
	status  int
	bytes   int64
	body    *body // the request's
	stream  bool
	gone    bool // the answer could not be written
	stalled bool // because the caller did not read it

	http1       bool
	deadlineSet time.Time // when the deadline for sending was last put off
	stall       stall     // in HTTP/2

	route    *Route
	chatflow *keystore.Chatflow
	tally    *tally // where it counts as a stream
	key      *keystore.Key
	secret   *keystore.Secret
	loaded   time.Time // when the snapshot that was decided by came into force
	ctx      context.Context
	cancel   context.CancelCauseFunc // ends the forwarded request; nil if nothing but the caller may
	question Question                // what was decided
	allowed  bool
	opens    bool   // by a key
	duplex   bool   // the answer may begin before the body has ended; net/http then leaves the rest of it to us
	err      *Error // why the request was refused or failed
}

// Unwrap lets http.ResponseController reach the connection.
func (r *record) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader notes when the answer begins and of what kind it is.
func (r *record) WriteHeader(status int) {
	h := r.Header()
	if status >= 200 && (r.status == 0 || r.status == http.StatusSwitchingProtocols) { // a switch may fail yet
		r.status, r.first = status, time.Now()
		if h.Get("Content-Type") == "" {
			h["Content-Type"] = nil // or net/http guesses one where the runner named none
		}
		r.proxy.allowOrigin(r, r.body.request)
		h["X-Request-Id"] = []string{r.id}
		r.announceEnd(h)
		// What is left of a body must not be taken for a request. Of a chunked one that had a length, too, or
		// one that was sent by HTTP/1.0, none of which net/http tells, somebody before the gate may think that
		// more is left (RFC 9112, section 6.1).
		// In HTTP/2 the end of a stream cannot be mistaken, and the header would end the whole connection.
		if req := r.body.request; r.http1 && (r.duplex && !r.body.whole.Load() || len(req.TransferEncoding) > 0 || !req.ProtoAtLeast(1, 1)) {
			h["Connection"] = []string{"close"}
		}
		if mediaType(h) == "text/event-stream" {
			r.beginStream()
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes of the answer's body.
func (r *record) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	r.sending()
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	r.sent(err)
	return n, err
}

// announceEnd tells the caller that its secret is in its last overlap: Deprecation (RFC 9745) says since
// when there is another, Sunset (RFC 8594) when this one ends.
func (r *record) announceEnd(h http.Header) {
	if !r.allowed || r.secret == nil {
		return
	}
	since, superseded := r.secret.Superseded(r.started)
	if !superseded {
		return
	}
	if since.IsZero() {
		since = r.loaded
	}
	h.Set("Deprecation", "@"+strconv.FormatInt(since.Unix(), 10))
	h.Set("Sunset", r.secret.NotAfter().Format(http.TimeFormat))
}

func mediaType(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// switched notes that the connection now speaks another protocol; nobody calls WriteHeader then.
func (r *record) switched() {
	r.status, r.first = http.StatusSwitchingProtocols, time.Now()
	r.beginStream()
}

func (r *record) beginStream() {
	r.stream = true
	r.proxy.metrics.streams.Inc()
	r.tally = r.proxy.tallies.of(r.chatflow, r.proxy.store.Snapshot())
	r.tally.streams.Add(1)
	later(&r.tally.last, r.started.Unix())
	r.proxy.tallies.all.streams.Add(1)
	r.proxy.streams.add(r)
}

// decided notes what was decided about the request.
func (r *record) decided(d Decision) {
	r.allowed, r.opens, r.key, r.secret, r.chatflow = d.Allowed, d.Opens, d.Key, d.Secret, d.Chatflow
	if d.Refusal != nil {
		r.err = d.Refusal
	}
}

// refuse answers a request that is not forwarded, or was in vain.
func (r *record) refuse(err *Error) {
	r.err = err
	r.body.refuse()
	err.write(r, r.id)
}

// abandon notes why the request ended without an answer, or in the middle of one.
func (r *record) abandon(code Code, reason string) {
	r.err = &Error{Code: code, Reason: reason}
}

// statusClientClosed stands in log lines for an answer that nobody waited for. It is never sent.
const statusClientClosed = 499

// close writes the record. It is deferred, and passes on a panic after it has noted it.
func (r *record) close() {
	panicked := recover()
	switch {
	case panicked == nil:
	case panicked != http.ErrAbortHandler: //nolint:errorlint // a panic's value, compared as net/http does
		r.proxy.log.Error().Str("request_id", r.id).Interface("panic", panicked).Bytes("stack", debug.Stack()).
			Msg("panic while serving a request; the connection is cut")
		r.abandon(codePanic, "panic")
		panicked = http.ErrAbortHandler // net/http would log it again
	case r.err != nil:
	case r.ctx.Err() == nil && !r.gone:
		r.abandon(codeUpstreamBroken, "the runner broke off in the middle of its answer")
	case errors.Is(context.Cause(r.ctx), errDrainOver):
		r.abandon(codeDrainCut, "cut when the time to drain was over")
	case errors.Is(context.Cause(r.ctx), errRevoked):
		r.abandon(codeKeyRevoked, "cut because the key does not open the chatflow any more")
	case r.stalled:
		r.abandon(codeClientClosed, "caller did not read the answer for "+sendIdle.String())
	default:
		r.abandon(codeClientClosed, "caller left in the middle of the answer")
	}
	if r.cancel != nil {
		r.cancel(nil)
	}
	r.body.settle()
	r.lastSending()
	if r.status == 0 {
		r.status = statusClientClosed
	}
	if r.stream {
		r.proxy.metrics.streams.Dec()
		r.tally.streams.Add(-1)
		r.proxy.tallies.all.streams.Add(-1)
		r.proxy.streams.remove(r)
	}
	took := time.Since(r.started)
	r.proxy.metrics.count(r, took)
	r.proxy.tallies.count(r)
	r.log(took)
	if panicked != nil {
		panic(panicked)
	}
}

// log writes the line. It has nothing in it that the caller chose freely, no path, no query, no header and
// no body, but the hexadecimal digits of its trace.
func (r *record) log(took time.Duration) {
	if r.proxy.quietAllowed && r.unremarkable() {
		return
	}
	// Whoever has no valid key must not be able to fill a disk, unless the operator looks for something.
	switch {
	case r.proxy.log.GetLevel() <= zerolog.DebugLevel:
	case !r.allowed && r.err != nil:
		if !r.proxy.refusals.allow(r.err.Code, r.started) {
			return
		}
	case r.allowed && !r.opens && !r.proxy.refusals.allow(codeWithoutKey, r.started):
		return
	}
	e := r.proxy.log.WithLevel(r.level())
	if !e.Enabled() {
		return
	}
	decision := "refuse"
	if r.allowed {
		decision = "allow"
	}
	e.Str("request_id", r.id).Str("method", logMethod(r.method))
	if r.trace.parent != "" {
		e.Str("trace_id", r.trace.id()).Str("span_id", r.trace.span())
	}
	if r.route != nil {
		e.Str("route", r.route.label())
	}
	if r.chatflow != nil {
		e.Str("chatflow", r.chatflow.Label())
	}
	if r.key != nil {
		e.Str("key", r.key.ID)
	}
	e.Str("decision", decision).Int("status", r.status)
	if r.err != nil {
		e.Str("code", string(r.err.Code))
		if r.err.Reason != "" {
			e.Str("reason", r.err.Reason)
		} else if r.err.Detail != "" {
			e.Str("reason", r.err.Detail)
		}
	}
	e.Int64("bytes", r.bytes)
	if !r.first.IsZero() {
		e.Dur("ttfb_ms", r.first.Sub(r.started))
	}
	e.Dur("duration_ms", took).Bool("stream", r.stream).Str("client", r.client.String())
	e.Msg("request")
}

// logMethod returns the method if it is a usual one: any token can be sent as a method.
func logMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	}
	return "other"
}
