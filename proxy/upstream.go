package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/direct"
)

// exchange is one forwarded request: what the reverse proxy's functions need to know of it. It is the
// request's context, so that they can find it.
type exchange struct {
	context.Context
	*call
	record        *record
	authorization string // to send upstream, or empty
	forwardedFor  string
	upgrade       bool        // asks to switch to the websocket protocol
	answered      atomic.Bool // the runner's answer has begun
}

var errUpstreamSlow = errors.New("the runner did not answer in time")

type exchangeKey struct{}

// Value is that of the context, and the exchange itself for its key.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// newReverseProxy returns the proxy that every forwarded request goes through.
func (p *Proxy) newReverseProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.modifyResponse,
		ErrorHandler:   p.upstreamError,
		Transport:      p.transport,
		// At once, headers too: a stream may be silent for minutes after its headers, and an answer
		// of known length may come in pieces.
		FlushInterval: -1,
		BufferPool:    &bufferPool{},
		ErrorLog:      p.errorLog,
	}
}

// dialer opens connections to the runner, for requests and to see whether it is there.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func dialUpstream(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
}

// transport is what requests go through to the runner.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newTransport returns the transport to a runner: our own, or net/http's where that is asked for or where
// the runner speaks TLS. It has no limit on how long an answer may take to begin, since its own would not
// count while a body is being sent: see Proxy.forward.
func newTransport(o Options, dial dialer) transport {
	if o.Upstream.Scheme == "http" && !o.StandardTransport {
		return &direct.Transport{Dial: dial}
	}
	return &http.Transport{
		// No proxy from the environment: the runner is next door, and what goes there are keys.
		DialContext:         dial,
		TLSClientConfig:     &tls.Config{RootCAs: o.UpstreamCA, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		// Node closes an idle connection after 5 s (http.Server.keepAliveTimeout). A POST that meets
		// the closing cannot be sent again, so this side closes first.
		IdleConnTimeout:     3 * time.Second,
		MaxIdleConnsPerHost: 512,
		// Callers negotiate encodings with the runner; a stream must not be held up to inflate it.
		DisableCompression: true,
	}
}

// rewrite builds the upstream request. Its method, path, query and body come from the parsed call;
// of the caller's headers it keeps those that are nobody's business but the runner's.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	x := exchangeOf(pr.In.Context())
	out := pr.Out
	out.Method = x.method
	out.URL = &url.URL{Scheme: p.upstream.Scheme, Host: p.upstream.Host, Path: p.upstream.Path + x.path, RawQuery: x.query}
	out.Host = p.upstream.Host
	out.Trailer = nil
	if x.body != nil {
		out.Body = x.body
		if x.body.size == 0 {
			out.Body = http.NoBody // or the transport would look for some
		}
		out.ContentLength = x.body.size
		out.TransferEncoding = nil
	}
	if x.preflight {
		out.Body, out.ContentLength = nil, 0
	}
	x.upgrade = x.route.Websocket && !x.preflight && isWebsocket(pr.In.Header)
	for name := range out.Header {
		if managed(name) && (!x.upgrade || name != "Connection" && name != "Upgrade") {
			delete(out.Header, name)
		}
	}
	h := out.Header
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if v, ok := pr.In.Header[name]; ok && !x.preflight {
			h[name] = v // a caller's Connection header may have removed what says how to read the body
		}
	}
	if x.body != nil {
		h.Set("Content-Type", "application/json") // as it was read
	}
	h.Set("X-Forwarded-For", x.forwardedFor)
	h.Set("X-Request-Id", x.record.id)
	x.record.trace.pass(pr.In.Header, h)
	if p.publicURL != nil {
		out.Host = p.publicURL.Host
		h.Set("X-Forwarded-Host", p.publicURL.Host)
		h.Set("X-Forwarded-Proto", p.publicURL.Scheme)
	}
	if x.authorization != "" {
		h.Set("Authorization", x.authorization)
	}
}

// managed reports whether a header's name is one that the gate sets or never passes. A name with
// other characters than letters, digits and hyphens counts as such: servers that turn names into
// variables take X_Forwarded_For and X.Forwarded.For for X-Forwarded-For.
// name is in the canonical form of package textproto.
func managed(name string) bool {
	for i := range len(name) {
		if c := name[i]; !plain(c) || c == '.' || c == '_' || c == '~' {
			return true
		}
	}
	switch name {
	case "Authorization", "Cookie", "Cookie2", "Proxy-Authorization", // credentials
		"X-Request-From", "Flowise-Tool", "X-Flowise-Evaluation", // Flowise's switches: its own user interface and inner calls
		"Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip", "Via", // who called
		"X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", // another request than the one decided upon
		"X-Request-Id",
		"Traceparent", "Tracestate", // see trace
		"Connection", "Upgrade", "Http2-Settings", "Te", "Trailer", "Expect", "Keep-Alive", "Proxy-Connection": // one hop only
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-")
}

// isWebsocket reports whether a request asks to switch to the websocket protocol (RFC 6455 section 4.1).
func isWebsocket(h http.Header) bool {
	return strings.EqualFold(h.Get("Upgrade"), "websocket") && len(h.Values("Upgrade")) == 1
}

// modifyResponse sees the runner's answer before it is passed on.
func (p *Proxy) modifyResponse(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	x.answered.Store(true)
	p.health.reached()
	p.cleanAnswer(res.Header)
	if res.StatusCode < 100 {
		return errors.New("the runner's status is none")
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		if !x.upgrade || !isWebsocket(res.Header) {
			return errors.New("the runner switched protocols unasked")
		}
		res.Header.Set("X-Request-Id", x.record.id)
		x.record.switched()
	}
	return nil
}

// cleanAnswer removes from the head, the interim heads and the trailers of a runner's answer what is not for
// callers: a session of the runner is nothing for a caller who has a key, and lists of alternatives would
// lead around the gate. Of two answers about origins a browser takes none.
func (p *Proxy) cleanAnswer(h http.Header) {
	for field := range h {
		name := strings.TrimPrefix(field, http.TrailerPrefix)
		if name == "Set-Cookie" || name == "Alt-Svc" || p.cors != nil && strings.HasPrefix(name, "Access-Control-") {
			delete(h, field)
		}
	}
}

// upstreamError answers a request that the runner did not.
func (p *Proxy) upstreamError(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	switch {
	case x.record.body.err() != nil && (r.Context().Err() == nil || errors.Is(x.record.body.err(), os.ErrDeadlineExceeded)):
		// A body that stalls ends the context as well: to net/http, every error of reading is a caller that left.
		w.Header().Set("Connection", "close")
		x.record.refuse(bodyError(x.record.body.err()))
	case errors.Is(context.Cause(r.Context()), errDrainOver):
		x.record.refuse(&Error{Code: CodeDraining, RetryAfter: time.Second, Detail: "the gate is shutting down and could not wait any longer", Reason: "cut when the time to drain was over"})
	case errors.Is(context.Cause(r.Context()), errRevoked):
		panic(http.ErrAbortHandler) // and record.close says why
	case errors.Is(context.Cause(r.Context()), errUpstreamSlow):
		x.record.refuse(&Error{Code: CodeUpstreamSlow, Detail: "the flow runner did not begin its answer in time", Reason: "no answer within " + p.upstreamTimeout.String()})
	case r.Context().Err() != nil:
		x.record.abandon(codeClientClosed, "caller left before the runner answered")
		panic(http.ErrAbortHandler) // or net/http would answer 200
	default:
		// What the runner sent may be in the error's words, and stays out of the log for that.
		reason := "the runner broke off before its answer, or answered what is no HTTP"
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			p.health.missed(err)
			reason = err.Error()
		}
		x.record.refuse(&Error{Code: CodeUnreachable, Detail: "the flow runner cannot be reached", Reason: reason})
	}
}

// authorization returns the Authorization header to send upstream, or none.
func (p *Proxy) authorization(c *call, d Decision) (string, *Error) {
	if c.preflight || c.route.Access == Public {
		return "", nil
	}
	u := p.upstreamAuthorization
	if d.Chatflow != nil && d.Chatflow.UpstreamAuthorization.Mode != keystore.UpstreamDefault {
		u = d.Chatflow.UpstreamAuthorization
	}
	switch u.Mode {
	case keystore.UpstreamForward:
		if c.bearer.token != "" {
			return "Bearer " + c.bearer.token, nil
		}
	case keystore.UpstreamFile:
		if !d.Opens && (d.Chatflow == nil || !d.Chatflow.Public) {
			return "", nil // let in for discovery: the runner's own credential is not for them
		}
		v, err := p.credentials.header(u.Path, c.now)
		if err != nil {
			return "", &Error{Code: CodeUnreachable, Detail: "the flow runner cannot be reached", Reason: err.Error()}
		}
		return v, nil
	}
	return "", nil
}

// pieceSize is how much of an answer is passed on at a time, in bytes. Every open stream holds one.
const pieceSize = 4 << 10

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if v, ok := b.pool.Get().(*[pieceSize]byte); ok {
		return v[:]
	}
	return make([]byte, pieceSize)
}

func (b *bufferPool) Put(p []byte) { b.pool.Put((*[pieceSize]byte)(p)) }
