package proxy

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/header"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// forward sends an authorized request upstream, and the response to the client. httputil.ReverseProxy does that. This is
// what is added here, and why:
//
//   - The upstream request is built from the authorization, not from the client's request (rewrite, upstreamHeader).
//   - A request is given up if its response does not begin in time (responseTimeout).
//   - The upstream must not switch protocols unasked, set session cookies, or send trailers that must not pass (package
//     header, upstreamBody).
//   - No interim response goes to a client that would misread it (responseWriter.WriteHeader).
//   - A response that has already arrived as a whole is not flushed. net/http sends it in one write when it is complete,
//     while ReverseProxy would start a timer and a goroutine to flush its header first.
//   - Buffers have the size that the response needs: 1 KiB for streams, each of which holds one as long as it is open, and
//     for short responses, else 32 KiB. With one size for all, large responses would cost three times as much.
func (x *exchange) forward(r *http.Request) {
	p := x.proxy
	if r.ContentLength > p.opts.MaxBody {
		x.refuse(body.TooLarge)
		return
	}
	credential, refusal := p.upstreamCredential(x.authorization)
	if refusal != nil {
		x.refuse(refusal)
		return
	}
	if refusal := x.takeUpstream(); refusal != nil {
		x.refuse(refusal)
		return
	}
	defer x.giveUpstream()
	// An upstream may respond while it still reads, and net/http would take the rest of the body away from it.
	_ = x.response.control.EnableFullDuplex() // HTTP/2 is always full duplex
	x.response.fullDuplex = true
	f := &forwarding{exchange: x, in: r, credential: credential}
	if time := x.timeWithoutClient(); time > 0 {
		abort := f.aborter()
		x.ctx, x.cancel, f.stop = x.withoutClient(time, abort)
		defer f.stop()
		if abort != nil {
			defer context.AfterFunc(x.ctx, unlessEnded(x.ctx, abort))()
		}
	} else {
		x.ctx, x.cancel = context.WithCancelCause(x.ctx)
	}
	f.timeout.start(x)
	defer f.timeout.stop()
	defer x.limitStream()()
	f.reverseProxy = httputil.ReverseProxy{
		Rewrite: f.rewrite, ModifyResponse: f.modifyResponse, ErrorHandler: f.failed,
		Transport: p.transport, FlushInterval: -1, BufferPool: f, ErrorLog: p.errorLog,
	}
	x.limits.sent = time.Now()
	in := r.WithContext(x.ctx)
	in.Header = f.upgradeHeader()
	f.reverseProxy.ServeHTTP(&x.response, in)
	if f.reverseProxy.FlushInterval == 0 {
		x.endLimits()               // a client that has the response may send its next request
		_ = x.response.FlushError() // the client need not wait for log and metrics
	}
}

// forwarding is what one use of a ReverseProxy needs.
type forwarding struct {
	*exchange
	reverseProxy httputil.ReverseProxy
	in           *http.Request
	credential   string // for the upstream, or empty
	timeout      responseTimeout
	stop         func() bool // that of withoutClient; nil if the request ends with its client
	upstream     upstreamBody
	buffers      *sync.Pool // the pool of the size that suits the response
	buffer       *[]byte    // taken from it
}

// upgradeHeader returns the client's headers that ReverseProxy gets to see: those that ask for an upgrade, if that is
// allowed. It would copy and clean the others only for rewrite to build them anew.
func (f *forwarding) upgradeHeader() http.Header {
	if f.Websocket && header.IsUpgrade(f.in.Header) {
		return http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
	}
	return http.Header{}
}

// rewrite builds the request to the upstream. Method, path, query and body come from the authorization. Of the client's
// headers, it keeps those that concern only the upstream.
func (f *forwarding) rewrite(pr *httputil.ProxyRequest) {
	o, out := &f.proxy.opts, pr.Out
	out.Method = f.Method
	out.URL = &url.URL{Scheme: o.Upstream.Scheme, Host: o.Upstream.Host, Path: o.Upstream.Path + f.Path, RawQuery: f.Query}
	out.Host = o.Upstream.Host
	if o.PublicURL != nil {
		out.Host = o.PublicURL.Host
	}
	out.RequestURI, out.TransferEncoding, out.Trailer = "", nil, nil
	out.Header = f.upstreamHeader(f.in.Header)
	maps.Copy(out.Header, pr.In.Header) // those for the upgrade, if there is one
	switch size := int64(len(f.buffered.Content())); {
	case f.Preflight:
		out.Body, out.ContentLength = nil, 0
	case f.buffered == nil:
	case size == 0:
		out.Body, out.ContentLength = http.NoBody, 0 // else the transport would look for a body
	default:
		out.Body, out.ContentLength = f.buffered, size
	}
}

// modifyResponse refuses a response that must not be passed on, and cleans one that may.
func (f *forwarding) modifyResponse(res *http.Response) error {
	f.timeout.stop()
	f.proxy.health.reached()
	switching := res.StatusCode == http.StatusSwitchingProtocols
	switch {
	case res.StatusCode < 100:
		return errors.New("the upstream's status is none")
	case switching && (!f.Websocket || !route.IsWebsocket(res.Header) || !header.IsUpgrade(res.Header)):
		return errors.New("the upstream switched protocols unasked")
	}
	if f.in.Context().Err() != nil && f.ctx.Err() == nil { // the request has outlived its client
		f.finish(res)
		return errClientLeft
	}
	ownCORS := f.proxy.cors != nil
	if switching {
		header.CleanSwitch(res.Header, ownCORS)
		if conn, ok := res.Body.(upgradedConn); ok {
			res.Body = &upgradedBody{upgradedConn: conn}
		}
		return nil
	}
	header.CleanResponse(res.Header, ownCORS)
	f.buffers = &largeBuffers
	if res.ContentLength < 0 || res.ContentLength <= smallBuffer {
		f.buffers = &smallBuffers
	}
	if body, ok := res.Body.(interface{ Buffered() int }); ok && res.ContentLength >= 0 && int64(body.Buffered()) >= res.ContentLength {
		f.reverseProxy.FlushInterval = 0
	}
	f.noteCreated(res)
	header.CleanTrailers(res.Trailer, ownCORS) // the announced ones
	f.upstream = upstreamBody{ReadCloser: res.Body, response: res, ownCORS: ownCORS, client: f.response.Header(), whole: f.stop}
	if f.outlivesClient() {
		f.upstream.outlives = f.exchange
	}
	res.Body = &f.upstream
	return nil
}

// failed responds to a request to which the upstream did not respond.
func (f *forwarding) failed(_ http.ResponseWriter, _ *http.Request, err error) {
	x := f.exchange
	cause := context.Cause(x.ctx)
	fault := x.bodyFault()
	switch {
	case x.response.hijacked:
		x.abandon(problem.ClientClosed, "the client left while its connection was switched to a websocket")
		panic(http.ErrAbortHandler)
	case fault != nil:
		if x.response.http1 {
			x.response.Header().Set("Connection", "close")
		}
		x.refuse(fault)
	case errors.Is(cause, errDrainOver), errors.Is(cause, errListenerFailed):
		x.refuse(&problem.Error{Code: problem.Draining, RetryAfter: time.Second, Detail: "the gate is shutting down and could not wait any longer", Reason: "cut because " + cause.Error()})
	case errors.Is(cause, errRevoked):
		panic(http.ErrAbortHandler) // end logs why
	case errors.Is(cause, errStreamLimit):
		x.refuse(&problem.Error{Code: problem.UpstreamTimeout, Detail: "the response took longer than it may", Reason: cause.Error() + ", " + x.limits.stream.String()})
	case errors.Is(cause, errUpstreamSlow):
		x.proxy.health.timedOut(x.proxy.opts.UpstreamTimeout)
		x.refuse(&problem.Error{Code: problem.UpstreamTimeout, Detail: "the upstream did not begin its response in time", Reason: "no response within " + x.proxy.opts.UpstreamTimeout.String()})
	case x.ctx.Err() != nil || errors.Is(err, errClientLeft):
		x.abandon(problem.ClientClosed, "the client left before the upstream responded")
		panic(http.ErrAbortHandler) // else net/http would respond with 200
	default:
		if isDial(err) {
			x.limits.sent = time.Time{} // it could not be sent
		}
		x.refuse(x.proxy.unreachable(err))
	}
}

// isDial reports whether no connection to the upstream could be opened.
func isDial(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial"
}

// unreachable returns the response to a request that the upstream failed. An error's text may contain what the upstream
// sent, so it is logged only if the error is one of dialing or of the TLS handshake.
func (p *Proxy) unreachable(err error) *problem.Error {
	reason := "the upstream broke off before its response, or its response is not HTTP"
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return &noDescriptors // this says nothing about the upstream
	case isDial(err):
		p.health.missed(err)
		reason = err.Error()
	case isTLS(err):
		reason = "the TLS handshake with the upstream failed: " + err.Error()
	}
	return &problem.Error{Code: problem.UpstreamUnreachable, Detail: "the upstream cannot be reached", Reason: reason}
}

// The sizes of buffers, in bytes.
const (
	smallBuffer = 1 << 10
	largeBuffer = 32 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// Get and Put make a forwarding the BufferPool of its response.
func (f *forwarding) Get() []byte {
	f.buffer = f.buffers.Get().(*[]byte)
	return *f.buffer
}

// Put takes back what Get returned.
func (f *forwarding) Put([]byte) { f.buffers.Put(f.buffer) }
