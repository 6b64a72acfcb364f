package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/transport"
)

// dialer opens connections to the runner, for requests and to see whether it is there.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func dialUpstream(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
}

// roundTripper is what requests go through to the runner.
type roundTripper interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newTransport returns the transport to a runner: our own, or net/http's where that is asked for or where
// the runner speaks TLS. It has no limit on how long an answer may take to begin, since its own would not
// count while a body is being sent: see Proxy.forward.
func newTransport(o Options, certificates *certificate.Store, dial dialer) roundTripper {
	if o.Upstream.Scheme == "http" && !o.StandardTransport {
		return &transport.Transport{Dial: dial}
	}
	standard := func(config *tls.Config) *http.Transport {
		return &http.Transport{
			// No proxy from the environment: the runner is next door, and what goes there are keys.
			DialContext:         dial,
			TLSClientConfig:     config.Clone(),
			TLSHandshakeTimeout: 5 * time.Second,
			// Node closes an idle connection after 5 s (http.Server.keepAliveTimeout). A POST that meets
			// the closing cannot be sent again, so this side closes first.
			IdleConnTimeout:     3 * time.Second,
			MaxIdleConnsPerHost: 512,
			// Callers negotiate encodings with the runner; a stream must not be held up to inflate it.
			DisableCompression: true,
		}
	}
	if o.Upstream.Scheme == "http" {
		return standard(certificates.Upstream())
	}
	return &renewing{config: certificates.Upstream, make: standard}
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
			return p.preset.credential(c.bearer.token), nil
		}
	case keystore.UpstreamFile:
		if !d.Opens && (d.Chatflow == nil || !d.Chatflow.Public) {
			return "", nil // let in for discovery: the runner's own credential is not for them
		}
		v, err := p.credentials.value(u.Path, c.now)
		if err != nil {
			return "", &Error{Code: CodeUnreachable, Detail: "the flow runner cannot be reached", Reason: err.Error()}
		}
		return v, nil
	}
	return "", nil
}
