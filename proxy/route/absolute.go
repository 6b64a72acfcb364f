package route

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// authority matches a host with an optional port in canonical form: lower case, no user, nothing percent-encoded.
var authority = regexp.MustCompile(`^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$`)

// originForm returns a request target as a path with a query. A client may send a whole URL, as it would to a proxy
// (absolute-form: RFC 9112, section 3.2.2). If scheme and host are this gate's own, they are cut off; otherwise the
// target is returned unchanged, and canonical will refuse it.
func (t *Table) originForm(r *http.Request) string {
	target := r.RequestURI
	if strings.HasPrefix(target, "/") || r.ProtoMajor != 1 || r.Method == http.MethodConnect { // HTTP/2 has fields for scheme and host
		return target
	}
	scheme, rest, found := strings.Cut(target, "://")
	slash := strings.IndexByte(rest, '/')
	if !found || slash < 0 || !t.isOwn(scheme, rest[:slash], r.TLS != nil) {
		return target
	}
	return rest[slash:]
}

// isOwn reports whether the scheme and host of a URL are this gate's own: those of the public URL. Without a public URL,
// the gate does not know its name, so it accepts any host, as in a Host header, and requires the scheme of the
// connection. Neither is sent upstream.
func (t *Table) isOwn(scheme, host string, secure bool) bool {
	if t.PublicURL != nil {
		return scheme == t.PublicURL.Scheme && withPort(scheme, host) == withPort(scheme, strings.ToLower(t.PublicURL.Host))
	}
	return scheme == map[bool]string{false: "http", true: "https"}[secure] && authority.MatchString(host)
}

// withPort adds the scheme's usual port to a host that has none.
func withPort(scheme, host string) string {
	u := url.URL{Scheme: scheme, Host: host}
	if u.Port() != "" {
		return host
	}
	return host + ":" + origin.PortOf(&u)
}
