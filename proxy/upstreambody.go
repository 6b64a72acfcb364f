package proxy

import (
	"io"
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/header"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// upstreamBody is the body of an upstream's response. When it has ended, it takes out of the trailers what must not
// pass, because ReverseProxy passes on all of them, also those that were not announced.
type upstreamBody struct {
	io.ReadCloser
	response *http.Response
	proxy    *Proxy
	header   http.Header // of the response to the client, which has been written
	outlives *exchange   // which keeps its place until the upstream has ended; nil for another
}

// Close ends the body, which completes the trailers.
func (b *upstreamBody) Close() error {
	if x := b.outlives; x != nil {
		_, _ = io.Copy(io.Discard, b.ReadCloser) // whatever is wrong with it, nobody is there to be told
		if x.limits.abandoned.Load() > 0 {
			x.abandon(problem.ClientClosed, "the client left in the middle of the response")
		}
	}
	err := b.ReadCloser.Close()
	b.proxy.cleanTrailers(b.response.Trailer)
	for name := range b.response.Trailer {
		delete(b.header, name) // ReverseProxy adds the trailer to it
	}
	return err
}

// cleanTrailers removes trailers that are not for clients.
func (p *Proxy) cleanTrailers(trailers http.Header) {
	for name := range trailers {
		if p.dropsFromTrailer(name) {
			delete(trailers, name)
		}
	}
}

// cleanResponseHeader removes headers of an upstream's response that are not for clients. From one that switches
// protocols ReverseProxy has not removed those for one hop.
func (p *Proxy) cleanResponseHeader(h http.Header, switching bool) {
	upgrade := h["Upgrade"]
	header.RemoveListed(h, h["Connection"])
	for name := range h {
		if p.dropsFromResponse(name) {
			delete(h, name)
		}
	}
	if switching {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, upgrade
		for _, name := range []string{"X-Request-Id", "X-Content-Type-Options", "Deprecation", "Sunset"} {
			delete(h, name) // ReverseProxy adds them to the gate's own, see exchange.addHeader
		}
	}
}

// dropsFromTrailer reports whether a trailer is not for clients: as a header would not be, or because it says how to read
// the message or who may, for which it comes too late (RFC 9110, section 6.5.1).
func (p *Proxy) dropsFromTrailer(name string) bool {
	switch name {
	case "Authorization", "Www-Authenticate", "Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range":
		return true
	}
	return p.dropsFromResponse(name)
}

// dropsFromResponse reports whether a header or trailer of an upstream's response is not for clients: those for one
// hop; Set-Cookie, since clients have keys and need no session of the upstream; Alt-Svc, which would lead around the
// gate; those that look like the gate's own words; and those about origins, if the gate sets them.
func (p *Proxy) dropsFromResponse(name string) bool {
	return header.IsHopByHop(name) || name == "Set-Cookie" || name == "Alt-Svc" || strings.HasPrefix(name, header.OwnPrefix) || p.cors != nil && strings.HasPrefix(name, "Access-Control-")
}
