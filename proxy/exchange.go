package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// exchange is one request and its response, from its first byte to its log line.
type exchange struct {
	proxy   *Proxy
	started time.Time
	id      string // request ID
	trace   trace

	client       netip.Addr
	forwardedFor string // X-Forwarded-For to send upstream

	body     requestBody
	response responseWriter
	authorization
	counters *counters // of the chatflow
	use      *keyUse   // of the key; nil unless it opened what the request asked for

	ctx    context.Context
	cancel context.CancelCauseFunc // ends the forwarded request; nil before that
	err    *problem.Error          // why the request was refused or failed
	hint   string                  // for the operator, where the upstream refused the request
}

// newExchange begins an exchange.
func (p *Proxy) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	now := time.Now()
	x := &exchange{proxy: p, started: now, id: p.requestID(r), trace: traceOf(r.Header), ctx: r.Context()}
	x.response.begin(w, r, x)
	x.body.begin(x.response.control, r, now, p.opts.MaxBody)
	x.client, x.forwardedFor = clientIP(r, p.opts.TrustedProxies)
	return x
}

// refuse responds to a request that is not forwarded, or that the upstream did not answer.
func (x *exchange) refuse(err *problem.Error) {
	x.err = err
	x.body.end()
	err.Write(&x.response, x.id)
}

// abandon notes why a request ended without a response, or in the middle of one.
func (x *exchange) abandon(code problem.Code, reason string) {
	x.err = &problem.Error{Code: code, Reason: reason}
}

// statusClientClosed stands in log lines for a response that nobody waited for. It is never sent.
const statusClientClosed = 499

// end completes an exchange: it notes how it ended, counts it and writes its log line. It must be deferred. A panic is
// logged and turned into one that makes net/http cut the connection.
func (x *exchange) end() {
	panicked := recover()
	if panicked != nil && panicked != http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
		x.proxy.opts.Log.Error().Str("request_id", x.id).Interface("panic", panicked).Bytes("stack", debug.Stack()).
			Msg("panic while serving a request; its connection is closed")
		x.abandon(problem.InternalError, "panic")
		panicked = http.ErrAbortHandler // or net/http would log it again
	}
	if panicked != nil && x.err == nil {
		x.noteAbort()
	}
	if x.cancel != nil {
		x.cancel(nil)
	}
	x.buffered.release()
	x.body.settle()
	x.response.end()
	x.account()
	if panicked != nil {
		panic(panicked)
	}
}

// noteAbort notes why a response ended in the middle.
func (x *exchange) noteAbort() {
	cause := context.Cause(x.ctx)
	switch {
	case x.ctx.Err() == nil && !x.response.failed:
		if x.response.status != 0 {
			_ = x.response.FlushError() // a header without a body has not been sent yet
		}
		x.abandon(problem.UpstreamBroken, "the upstream broke off in the middle of its response")
	case errors.Is(cause, errDrainOver):
		x.abandon(problem.DrainTimeout, "cut because the time to drain was over")
	case errors.Is(cause, errRevoked):
		x.abandon(problem.KeyRevoked, "cut because the key no longer opens the chatflow")
	case x.response.stalled:
		x.abandon(problem.ClientClosed, "the client did not read the response for "+writeIdle.String())
	default:
		x.abandon(problem.ClientClosed, "the client left in the middle of the response")
	}
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID returns a request's ID: the one that a trusted peer sent, or a new one.
func (p *Proxy) requestID(r *http.Request) string {
	if len(p.opts.TrustedProxies) > 0 && contains(p.opts.TrustedProxies, peerIP(r)) {
		if id := r.Header.Get("X-Request-Id"); requestIDPattern.MatchString(id) {
			return id
		}
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
