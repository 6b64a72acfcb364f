package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// exchange is one forwarded request: what is sent to the runner for a call, and what comes of it.
type exchange struct {
	*call
	proxy         *Proxy
	record        *record
	authorization string // to send upstream, or empty
	forwardedFor  string
	upgrade       bool // asks to switch to the websocket protocol
	patience      patience

	// What the request to the runner is made of, here so that it is one piece of memory.
	url    url.URL
	values [3]string
	trace  httptrace.ClientTrace

	mu       sync.Mutex // guards the head of the answer
	answered bool       // it is not for interim ones any more
}

// forward sends an allowed request upstream and its answer back.
func (p *Proxy) forward(rec *record, r *http.Request, x *exchange, d Decision) {
	if r.ContentLength > p.maxBody {
		rec.refuse(&Error{Code: CodeBodyTooLarge, Detail: "the request body is larger than allowed here"})
		return
	}
	var refusal *Error
	if x.authorization, refusal = p.authorization(x.call, d); refusal != nil {
		rec.refuse(refusal)
		return
	}
	// A runner may answer while it still reads; net/http would take the rest of the body from it.
	_ = http.NewResponseController(rec).EnableFullDuplex() // HTTP/2 always is
	rec.duplex = true
	rec.ctx, rec.cancel = context.WithCancelCause(rec.ctx)
	x.patience.begin(rec, p.upstreamTimeout)
	defer x.patience.end()

	res, err := p.transport.RoundTrip(x.request(r))
	x.mu.Lock()
	x.answered = true
	x.mu.Unlock()
	if err != nil {
		x.failed(err)
		return
	}
	defer res.Body.Close()
	x.patience.met()
	p.health.reached()
	if err := x.acceptable(res); err != nil {
		x.failed(err)
		return
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		err = x.switchProtocols(res)
	} else {
		err = x.answer(res)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the answer has begun and will not end: the caller must notice
	}
}

// interim passes on an interim answer. net/http's Transport may call it late, from a goroutine of its own.
func (x *exchange) interim(status int, header textproto.MIMEHeader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.answered {
		return nil
	}
	rec := x.record
	switch {
	case !rec.body.request.ProtoAtLeast(1, 1):
		return nil // HTTP/1.0 knows no such thing, and would take it for the answer (RFC 9110, section 15.2)
	case rec.http1 && rec.body.leaveDue():
		return nil // it would run into what net/http writes when the body is first read
	}
	h := rec.Header()
	x.proxy.passHeader(h, http.Header(header))
	// No interim answer has a length, so net/http leaves it out, of a copy: what it writes by HTTP/2 must not be the map
	// that changes below, since to a caller who has just left it may still be writing.
	h["Content-Length"] = noLength
	rec.sending()
	rec.WriteHeader(status)
	rec.sent(nil)
	clear(h) // they would be repeated in the next
	return nil
}

var noLength = []string{"0"} // nobody changes it

// failed answers a request that the runner did not.
func (x *exchange) failed(err error) {
	rec, ctx := x.record, x.record.ctx
	switch {
	case rec.body.err() != nil && (ctx.Err() == nil || errors.Is(rec.body.err(), os.ErrDeadlineExceeded)):
		// A body that stalls ends the context as well: to net/http, every error of reading is a caller that left.
		if rec.http1 {
			rec.Header().Set("Connection", "close")
		}
		rec.refuse(bodyError(rec.body.err()))
	case errors.Is(context.Cause(ctx), errDrainOver):
		rec.refuse(&Error{Code: CodeDraining, RetryAfter: time.Second, Detail: "the gate is shutting down and could not wait any longer", Reason: "cut when the time to drain was over"})
	case errors.Is(context.Cause(ctx), errRevoked):
		panic(http.ErrAbortHandler) // and record.close says why
	case errors.Is(context.Cause(ctx), errUpstreamSlow):
		rec.refuse(&Error{Code: CodeUpstreamSlow, Detail: "the flow runner did not begin its answer in time", Reason: "no answer within " + x.proxy.upstreamTimeout.String()})
	case ctx.Err() != nil:
		rec.abandon(codeClientClosed, "caller left before the runner answered")
		panic(http.ErrAbortHandler) // or net/http would answer 200
	default:
		// What the runner sent may be in the error's words, and stays out of the log for that.
		reason := "the runner broke off before its answer, or answered what is no HTTP"
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			x.proxy.health.missed(err)
			reason = err.Error()
		} else if isTLS(err) {
			reason = "no TLS with the runner: " + err.Error()
		}
		rec.refuse(&Error{Code: CodeUnreachable, Detail: "the flow runner cannot be reached", Reason: reason})
	}
}

var errUpstreamSlow = errors.New("the runner did not answer in time")

// patience ends an exchange whose answer does not begin in time. Time in which the caller is waited for, who has a
// limit of its own, does not count.
type patience struct {
	record *record
	most   time.Duration
	over   atomic.Bool // the answer has begun

	mu    sync.Mutex // guards what follows
	timer *time.Timer
}

func (p *patience) begin(rec *record, most time.Duration) {
	p.record, p.most = rec, most
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(most, p.check)
}

// check looks whether the time is over, or is put off because a part of the request came meanwhile.
func (p *patience) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over.Load() || p.record.ctx.Err() != nil {
		return
	}
	left := p.most
	if b := p.record.body; !b.waiting.Load() {
		left -= b.idle()
	}
	if left <= 0 {
		p.record.cancel(errUpstreamSlow)
		return
	}
	p.timer.Reset(left)
}

// met says that the answer has begun.
func (p *patience) met() { p.over.Store(true) }

func (p *patience) end() {
	p.met()
	p.mu.Lock() // or a check that is going on would set it off again
	defer p.mu.Unlock()
	p.timer.Stop()
}
