package proxy

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
)

// request builds the request to the runner. Its method, path, query and body come from the parsed call;
// of the caller's headers it keeps those that are nobody's business but the runner's.
func (x *exchange) request(in *http.Request) *http.Request {
	p := x.proxy
	x.upgrade = x.route.Websocket && !x.preflight && isWebsocket(in.Header) && listed(in.Header["Connection"], "Upgrade")
	x.trace.Got1xxResponse = x.interim
	out := in.WithContext(httptrace.WithClientTrace(x.record.ctx, &x.trace))
	out.Method = x.method
	x.url = url.URL{Scheme: p.upstream.Scheme, Host: p.upstream.Host, Path: p.upstream.Path + x.path, RawQuery: x.query}
	out.URL = &x.url
	out.RequestURI = ""
	out.Host = p.upstream.Host
	if p.publicURL != nil {
		out.Host = p.publicURL.Host
	}
	out.Header = x.header(in.Header)
	out.Trailer = nil
	out.TransferEncoding = nil
	out.Close = false
	switch {
	case x.preflight, in.ContentLength == 0:
		out.Body, out.ContentLength = nil, 0
	case x.body == nil:
		out.Body = unclosed{x.record.body}
	case x.body.size == 0:
		out.Body, out.ContentLength = http.NoBody, 0 // or the transport would look for some
	default:
		out.Body, out.ContentLength = x.body, x.body.size
	}
	return out
}

// unclosed is a request body that a transport may close, while net/http's own must stay open: its Close waits for what
// the caller has not sent.
type unclosed struct{ io.Reader }

func (unclosed) Close() error { return nil }

// header returns the headers of the request to the runner.
func (x *exchange) header(in http.Header) http.Header {
	p := x.proxy
	h := make(http.Header, len(in)+3)
	for name, values := range in {
		if !managed(name) && !p.preset.manages(name) {
			h[name] = values
		}
	}
	removeListed(h, in["Connection"])
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if v, ok := in[name]; ok && !x.preflight {
			h[name] = v // a caller's Connection header may have removed what says how to read the body
		}
	}
	if x.body != nil {
		h["Content-Type"] = asJSON // as it was read
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = noUserAgent
	}
	x.values = [...]string{x.forwardedFor, x.record.id, x.authorization}
	h["X-Forwarded-For"] = x.values[0:1:1]
	h["X-Request-Id"] = x.values[1:2:2]
	x.record.trace.pass(in, h)
	if x.authorization != "" {
		h[p.preset.CredentialHeader] = x.values[2:3:3]
	}
	if u := p.publicURL; u != nil {
		h["X-Forwarded-Host"] = []string{u.Host}
		h["X-Forwarded-Proto"] = []string{u.Scheme}
	}
	if x.upgrade {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	return h
}

// Values of headers that are the same in many requests. Nobody changes them.
var (
	asJSON      = []string{"application/json"}
	noUserAgent = []string{""} // or net/http's Transport names itself
)

// managed reports whether a header's name is one that the gate sets or never passes, whatever the runner. A name with
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
	case "Authorization", "Cookie", "Cookie2", // credentials
		"Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip", "Via", // who called
		"X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", // another request than the one decided upon
		"X-Request-Id",
		"Traceparent", "Tracestate", // see trace
		"Http2-Settings", "Expect": // for this hop, of requests
		return true
	}
	return oneHop(name) || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-")
}

// oneHop reports whether a header is for one hop only, in requests and answers (RFC 9110, section 7.6.1). name is in
// the canonical form of package textproto.
func oneHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// isWebsocket reports whether a request asks to switch to the websocket protocol (RFC 6455 section 4.1).
func isWebsocket(h http.Header) bool {
	return strings.EqualFold(h.Get("Upgrade"), "websocket") && len(h.Values("Upgrade")) == 1
}

// listed reports whether a header that is a list of tokens has one, in any case (RFC 9110, section 5.6.1).
func listed(header []string, token string) bool {
	for _, value := range header {
		for item := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// removeListed removes the headers that a Connection header names. It looks at each name once: both may be many, and
// the caller without a key.
func removeListed(h http.Header, connection []string) {
	for _, value := range connection {
		for item := range strings.SplitSeq(value, ",") {
			if item != "close" && item != "keep-alive" { // what is there most of the time
				delete(h, http.CanonicalHeaderKey(strings.Trim(item, " \t")))
			}
		}
	}
}
