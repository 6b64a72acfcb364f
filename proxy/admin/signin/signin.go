// Package signin decides who may change keys on the admin listener: whoever has the admin token. A program sends it
// with each request as a bearer token; a person sends it once, and gets a session. What may be changed is left to
// package console.
package signin

import (
	"cmp"
	"context"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy"
)

// Options are the settings of a Door.
type Options struct {
	// File has the admin token. It is read again when it changes. Required.
	File string
	// Poll is how often the file is checked without a file system event. Zero means [watch.Poll].
	Poll time.Duration
	// Failures is how often a client address may try a wrong token before it gets 429. The zero value means
	// [proxy.DefaultFailureLimit].
	Failures proxy.FailureLimit
	// Log is where lines go. The zero value discards them.
	Log zerolog.Logger
	// Now is the clock of sessions. Nil means [time.Now].
	Now func() time.Time
}

// Door lets in whoever has the admin token. All methods may be called concurrently.
type Door struct {
	opts     Options
	token    *watch.Reloader[keystore.Digest]
	failures *proxy.Failures
	sessions sessions
}

// Open reads the file with the token. A file that cannot be read, or has no valid token, is an error.
func Open(o Options) (*Door, error) {
	token := newToken(o.File)
	if r := token.Reload(true); r.Err != nil {
		return nil, r.Err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	failures := proxy.NewFailures(cmp.Or(o.Failures, proxy.DefaultFailureLimit))
	return &Door{opts: o, token: token, failures: failures, sessions: sessions{byDigest: map[keystore.Digest]*Session{}}}, nil
}

// Run reads the file again when it changes, until ctx is done. A changed token ends all sessions.
func (d *Door) Run(ctx context.Context) {
	watch.Run(ctx, d.opts.Poll, d.token.Paths, d.reload)
}

// Refusal is why somebody was not let in.
type Refusal struct {
	// RetryAfter is not zero if the address has tried too many wrong tokens. It says how long to wait.
	RetryAfter time.Duration
}

// Bearer returns nil if the request has the token as a bearer token (RFC 6750, section 2.1). Like a request with a
// valid key, one with the right token is never refused because others from its address had a wrong one.
func (d *Door) Bearer(r *http.Request) *Refusal {
	return d.check(r, bearer(r.Header))
}

// bearer returns the bearer token of a request, or "".
func bearer(h http.Header) string {
	values := h["Authorization"]
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// check compares digests, so its time tells nothing about the token.
func (d *Door) check(r *http.Request, token string) *Refusal {
	given, want := keystore.DigestOf(token), d.token.Value()
	if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
		return nil
	}
	client := Client(r)
	after, tooMany := d.failures.Count(client, time.Now())
	if !tooMany { // more of them would fill the log
		d.opts.Log.Warn().Str("client", client.String()).Bool("token", token != "").Msg("admin token missing or wrong; a request to change keys was refused")
	}
	return &Refusal{RetryAfter: after}
}

// Client returns the address that a request came from. The admin listener trusts no proxy.
func Client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil { // a unix socket
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}
