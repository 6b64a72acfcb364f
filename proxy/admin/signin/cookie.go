package signin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// The names of the cookie: over HTTPS, and over HTTP on this machine, where not every browser accepts the first.
const (
	secureCookie   = "__Host-flowlatch-admin"
	loopbackCookie = "flowlatch-admin"
	cookiePath     = "/console/" // of the second; the name of the first requires the path /
)

// newCookie returns the cookie for the browser that sent a request. ok is false over plain HTTP from another machine,
// where whoever is in between could read it.
func newCookie(r *http.Request, value string) (c *http.Cookie, ok bool) {
	c = &http.Cookie{Name: secureCookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://") { // behind a proxy that speaks TLS
		return c, true
	}
	c.Name, c.Path, c.Secure = loopbackCookie, cookiePath, false
	return c, isLoopback(HostOf(r.Host))
}

// HostOf returns the host in a Host header in one spelling: in lower case, without a port, brackets or a dot at its end.
func HostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}

// cookieOf returns the value of a request's cookie, or "" if there is not exactly one.
func cookieOf(r *http.Request) string {
	for _, name := range []string{secureCookie, loopbackCookie} {
		if found := r.CookiesNamed(name); len(found) == 1 {
			return found[0].Value
		}
	}
	return ""
}

// CanSignIn reports whether the browser that sent a request may have a session: over HTTPS, or on this machine.
func CanSignIn(r *http.Request) bool {
	_, ok := newCookie(r, "")
	return ok
}

// SignIn begins a session, and sets its cookie, if token is the admin token. The caller must have asked [CanSignIn]
// before.
func (d *Door) SignIn(w http.ResponseWriter, r *http.Request, token string) (*Session, *Refusal) {
	if refusal := d.check(r, token); refusal != nil {
		return nil, refusal
	}
	d.sessions.end(cookieOf(r)) // an earlier session, if there is one
	now, digest := d.opts.Now(), keystore.DigestOf(token)
	value := d.sessions.begin(digest, now)
	cookie, _ := newCookie(r, value)
	http.SetCookie(w, cookie)
	session := d.sessions.find(value, digest, now)
	if session != nil {
		d.opts.Log.Info().Str("client", Client(r).String()).Str("session", session.Name).Msg("signed in to the console")
	}
	return session, nil
}

// Session returns the session of a request, or nil.
func (d *Door) Session(r *http.Request) *Session {
	return d.sessions.find(cookieOf(r), d.token.Value(), d.opts.Now())
}

// SignOut ends the session of a request, and has the browser forget its cookie.
func (d *Door) SignOut(w http.ResponseWriter, r *http.Request) {
	if s := d.Session(r); s != nil {
		d.opts.Log.Info().Str("client", Client(r).String()).Str("session", s.Name).Msg("signed out of the console")
	}
	d.sessions.end(cookieOf(r))
	cookie, _ := newCookie(r, "")
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
}
