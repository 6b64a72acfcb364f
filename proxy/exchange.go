package proxy

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"time"

	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/connection"
	"github.com/flowlatch/flowlatch/proxy/header"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// exchange is one request and its response, from its first byte to its log line.
type exchange struct {
	proxy   *Proxy
	started time.Time
	id      string // request ID
	trace   header.Trace

	client       netip.Addr
	forwardedFor string // X-Forwarded-For to send upstream

	body     body.Reader
	response responseWriter
	authorization
	counted      stats.Open
	tokenOutcome string // what became of a request for a browser token; empty for any other request
	limits       limits

	ctx    context.Context
	cancel context.CancelCauseFunc // cancels the forwarded request; nil before it is forwarded
	err    *problem.Error          // why the request was refused or failed
	hint   string                  // for the operator, if the upstream refused the request
}

// newExchange begins an exchange.
func (p *Proxy) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	now := time.Now()
	x := &exchange{proxy: p, started: now, id: header.RequestID(r, p.opts.TrustedProxies), trace: header.TraceOf(r.Header), ctx: r.Context()}
	x.response.begin(w, r, x)
	x.body.Begin(x.response.control, r, now, p.opts.MaxBody)
	var unreadable netip.Addr
	if x.client, x.forwardedFor, unreadable = header.Client(r, p.opts.TrustedProxies); unreadable.IsValid() {
		p.warnUnreadable(unreadable)
	}
	return x
}

// refuse responds to a request that is not forwarded, or to which the upstream did not respond.
func (x *exchange) refuse(err *problem.Error) {
	x.err = err
	x.body.End()
	x.writeRefusal(err)
}

// abandon notes why a request ended without a response, or in the middle of one.
func (x *exchange) abandon(code problem.Code, reason string) {
	x.err = &problem.Error{Code: code, Reason: reason}
}

// statusClientClosed stands in log lines for a response that nobody waited for. It is never sent.
const statusClientClosed = 499

// end completes an exchange: it notes how the exchange ended, counts it and writes its log line. It must be deferred. It
// recovers a panic and logs it; the client gets a 500 or, if the response has begun, its connection is cut.
func (x *exchange) end() {
	panicked := recover()
	if panicked != nil && panicked != http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
		x.proxy.opts.Log.Error().Str("request_id", x.id).Interface("panic", panicked).Bytes("stack", debug.Stack()).
			Msg("panic while serving a request; its connection is closed")
		panicked = x.failInternally()
	}
	// ReverseProxy treats a websocket that was cut like any that ends.
	if x.err == nil && (panicked != nil || x.response.hijacked && x.ctx.Err() != nil) {
		x.noteAbort()
		if x.err.Code == problem.StreamLimit && x.endEvents() {
			panicked = nil
		}
	}
	if x.cancel != nil {
		x.cancel(nil)
	}
	x.buffered.Close()
	x.body.End()
	x.discardBody()
	if x.response.http1 {
		connection.Of(x.response.request.Context()).NoteWhole(x.body.Whole())
	}
	x.response.end()
	x.endLimits()
	x.account()
	if panicked != nil {
		panic(panicked)
	}
}

// failInternally responds to a request that a bug has ended. If the response has already begun, it returns the panic
// value with which net/http cuts the connection. The request counts as failed either way.
func (x *exchange) failInternally() (panicked any) {
	w := &x.response
	err := &problem.Error{Code: problem.InternalError, Detail: "the gate failed; its operator finds why in the log, by the request ID", Reason: "panic"}
	if w.status != 0 {
		x.err, w.status = err, http.StatusInternalServerError
		return http.ErrAbortHandler
	}
	h := w.Header()
	clear(h)
	if w.http1 {
		h["Connection"] = []string{"close"}
	}
	x.refuse(err)
	return nil
}

// noteAbort notes why a response ended in the middle.
func (x *exchange) noteAbort() {
	cause, fault := context.Cause(x.ctx), x.bodyFault()
	switch {
	case errors.Is(cause, errDrainOver), errors.Is(cause, errListenerFailed):
		x.abandon(problem.DrainTimeout, "cut because "+cause.Error())
	case errors.Is(cause, errRevoked):
		x.abandon(problem.KeyRevoked, "cut because the key no longer opens the chatflow")
	case errors.Is(cause, errStreamLimit):
		x.abandon(problem.StreamLimit, "cut because "+cause.Error()+", "+x.limits.stream.String())
	case x.response.stalled:
		x.abandon(problem.ClientClosed, "the client did not read the response for "+x.response.writeLimit.String())
	case fault != nil:
		x.abandon(fault.Code, cmp.Or(fault.Reason, fault.Detail)+", after the response had begun")
	case x.ctx.Err() == nil && !x.response.failed:
		x.abandon(problem.UpstreamBroken, "the upstream broke off in the middle of its response")
	default:
		x.abandon(problem.ClientClosed, "the client left in the middle of the response")
	}
	if x.ctx.Err() == nil && x.response.status != 0 && !x.response.failed {
		_ = x.response.FlushError() // a header whose body has not begun was not sent yet
	}
}

// bodyFault returns what is wrong with the request body, or nil. It also returns nil if the body could not be read
// because the client has left. A body that stalls ends the context as well, because net/http takes any read error for a
// client that left.
func (x *exchange) bodyFault() *problem.Error {
	if err := x.body.Err(); err != nil && (x.ctx.Err() == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		return body.Refusal(err)
	}
	return nil
}
