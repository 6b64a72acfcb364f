// Package proxy is the gate: it finds out which chatflow a request is for, decides by the key store's
// snapshot whether it may pass, and forwards what may.
//
// What is forwarded is built from what was decided upon: the request is parsed once, by a closed
// grammar, and no byte of the caller's path is sent on. The package knows HTTP and runners; it leaves
// keys to package keystore, and settings, files and signals to its caller.
package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/cors"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// Options are what a Proxy is made of.
type Options struct {
	// Store holds the keys. Required.
	Store *keystore.Store
	// Upstream is the runner: scheme, host and port, and a path to put before every other. Required.
	Upstream *url.URL
	// Certificates are those that TLS is spoken with, to callers and to an https runner. Nil means that
	// callers come in without TLS, and that a runner is checked against the system's authorities.
	Certificates *certificate.Store
	// Preset is what is known of the runner. Nil means [Flowise].
	Preset *Preset
	// Routes are all routes known. Nil means those of the preset.
	Routes []*Route
	// Expose are the groups of routes that are open. Nil means those that the preset opens.
	Expose []string
	// DiscoveryKeyed asks for a key on routes that official clients ask without one.
	DiscoveryKeyed bool
	// PublicURL is the origin under which callers know the gate. Nil: the runner is told its own.
	PublicURL *url.URL
	// UpstreamAuthorization is what the runner is sent as credential where a chatflow does not say.
	// The zero value means none.
	UpstreamAuthorization keystore.UpstreamAuthorization
	// MaxBody is the largest request body, in bytes. Zero means 50 MiB.
	MaxBody int64
	// MaxCheckedBody is the largest request body, in bytes, that is read to look for members which a
	// chatflow denies. Up to 64 times as much is held in memory at once. Zero means 1 MiB.
	MaxCheckedBody int64
	// StandardTransport sends requests to a plain HTTP runner by net/http's Transport, not by our own.
	StandardTransport bool
	// UpstreamTimeout is how long the runner may take to begin its answer. Zero means 10 minutes.
	UpstreamTimeout time.Duration
	// CutRevoked ends the open streams of a key that is revoked or expires.
	CutRevoked bool
	// CORSOrigins are the origins whose pages may call, as [ValidateOrigins] has them. None: the runner
	// answers browsers.
	CORSOrigins []string
	// FailureLimit is how many requests without a valid key a client address may send before they are
	// answered 429. The zero value means [DefaultFailureLimit], a negative Burst no limit.
	FailureLimit FailureLimit
	// TrustedProxies are the peers that are believed about who called them.
	TrustedProxies []netip.Prefix
	// Log is where lines go. The zero value discards them.
	Log zerolog.Logger
	// QuietAllowed leaves out the log lines of requests that were let in and answered; those that were refused
	// or failed, and those that the runner answered with a status from 500, keep theirs.
	QuietAllowed bool
	// Version is the version in the metrics and the status.
	Version string
	// Now is the clock by which keys are valid. Nil means [time.Now].
	Now func() time.Time
	// Registry is where metrics are registered. Nil means a new one.
	Registry *prometheus.Registry
}

// The defaults of Options.
const (
	DefaultMaxBody         = 50 << 20
	DefaultUpstreamTimeout = 10 * time.Minute
)

// Proxy is the gate. It is an http.Handler; all methods may be called concurrently.
type Proxy struct {
	store                 *keystore.Store
	preset                *Preset
	upstream              *url.URL
	exposed               *table // what is let through
	known                 *table // all routes, for explaining
	publicURL             *url.URL
	upstreamAuthorization keystore.UpstreamAuthorization
	maxBody               int64
	maxCheckedBody        int64
	holdings              holdings // bodies of callers with a valid key
	strangers             holdings // bodies of others, for chatflows that may be public
	upstreamTimeout       time.Duration
	trusted               []netip.Prefix
	log                   zerolog.Logger
	errorLog              *log.Logger
	version               string
	started               time.Time
	now                   func() time.Time
	registry              *prometheus.Registry
	metrics               *metrics
	tallies               tallies
	history               history
	viewing               sync.Mutex // held while a part of the status is chosen
	settings              SettingsStatus
	health                health
	credentials           credentials
	certificates          *certificate.Store
	dial                  dialer
	transport             roundTripper
	inflight              inflight
	cutRevoked            bool
	streams               streams
	failures              *failures
	cors                  *cors.Cors // nil if the runner answers browsers
	refusals              refusalLog
	quietAllowed          bool
}

// New returns a gate, or everything that is wrong with the options.
func New(o Options) (*Proxy, error) {
	p := &Proxy{
		store: o.Store, upstream: o.Upstream, publicURL: o.PublicURL, upstreamAuthorization: o.UpstreamAuthorization,
		maxBody: o.MaxBody, maxCheckedBody: o.MaxCheckedBody, trusted: o.TrustedProxies, log: o.Log, version: o.Version, now: o.Now,
		registry: o.Registry, started: time.Now(), dial: dialUpstream,
		cutRevoked: o.CutRevoked, refusals: refusalLog{log: o.Log}, quietAllowed: o.QuietAllowed,
	}
	if o.FailureLimit == (FailureLimit{}) {
		o.FailureLimit = DefaultFailureLimit
	}
	p.cors = newCORS(o.CORSOrigins)
	p.failures = newFailures(o.FailureLimit)
	if p.maxBody == 0 {
		p.maxBody = DefaultMaxBody
	}
	if p.maxCheckedBody == 0 {
		p.maxCheckedBody = DefaultMaxCheckedBody
	}
	p.maxCheckedBody = min(p.maxCheckedBody, p.maxBody)
	p.holdings.most = maxHeldBodies * max(p.maxCheckedBody, maxIDBody)
	p.strangers.most = p.holdings.most / 4
	if p.now == nil {
		p.now = time.Now
	}
	if p.registry == nil {
		p.registry = prometheus.NewRegistry()
	}
	if o.UpstreamTimeout == 0 {
		o.UpstreamTimeout = DefaultUpstreamTimeout
	}
	if o.Preset == nil {
		o.Preset = Flowise()
	}
	p.preset, p.credentials.preset = o.Preset, o.Preset
	if o.Routes == nil {
		o.Routes = o.Preset.Routes
	}
	if o.Expose == nil {
		o.Expose = o.Preset.Expose
	}
	var err error
	if p.exposed, p.known, err = tables(o); err != nil {
		return nil, err
	}
	if p.certificates = o.Certificates; p.certificates == nil {
		if p.certificates, err = certificate.Open(certificate.Files{}, certificate.Options{}); err != nil {
			return nil, err
		}
	}
	p.errorLog = log.New(logWriter{p.log}, "", 0)
	p.health.changed = p.logUpstream
	p.credentials.failed = func(path string, err error) {
		p.log.Error().Err(err).Str("file", path).Msg("credential for the runner cannot be read; the last good one stays in force")
	}
	p.upstreamTimeout = o.UpstreamTimeout
	p.settings = p.settingsStatus(o)
	p.metrics = newMetrics(p.registry, p, o.Version)
	p.transport = newTransport(o, p.certificates, func(ctx context.Context, network, addr string) (net.Conn, error) { return p.dial(ctx, network, addr) })
	return p, nil
}

// tables returns the table of the exposed routes and that of all.
func tables(o Options) (exposed, known *table, err error) {
	errs := []error{ValidateExpose(o.Expose, o.Routes), ValidateOrigins(o.CORSOrigins)}
	var open []*Route
	for _, r := range o.Routes {
		if err := r.Validate(); err != nil {
			errs = append(errs, err)
		}
		if !slices.Contains(o.Expose, r.Group) {
			continue
		}
		if r.Discovery && !o.DiscoveryKeyed {
			c := *r
			c.Access = ListedOnly
			r = &c
		}
		open = append(open, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	if known, err = newTable(o.Routes); err != nil {
		return nil, nil, err
	}
	exposed, err = newTable(open)
	return exposed, known, err
}

// ValidateExpose says which of the groups have no route, or nil.
func ValidateExpose(groups []string, routes []*Route) error {
	if len(groups) == 0 {
		return errors.New("no group of routes is named; with none exposed there would be nothing to serve")
	}
	var known []string
	for _, r := range routes {
		known = append(known, r.Group)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	var errs []error
	for _, g := range groups {
		if !slices.Contains(known, g) {
			errs = append(errs, fmt.Errorf("there is no route group %q; there are %s", g, strings.Join(known, ", ")))
		}
	}
	return errors.Join(errs...)
}

// ServeHTTP is the life of a request, from the first byte understood to the last one passed on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	open := p.inflight.begin()
	if open {
		defer p.inflight.end() // after the record is written, or a drain could end before it
	}
	now := time.Now()
	rec := &record{
		ResponseWriter: w, proxy: p, method: r.Method, started: now, id: p.requestID(r),
		body: limitBody(w, r, now, p.maxBody), ctx: r.Context(), http1: r.ProtoMajor == 1, trace: traceOf(r.Header),
	}
	defer rec.close()
	rec.unlimited()
	client, chain := clientIP(r, p.trusted)
	rec.client = client
	if !open {
		rec.refuse(&Error{Code: CodeDraining, RetryAfter: time.Second, Detail: "this gate is shutting down; send the request again"})
		return
	}

	c, d := p.decide(r, rec.body, nil)
	defer c.body.drop()
	rec.route, rec.question, rec.loaded = c.route, c.question, c.loaded
	rec.decided(d)
	if !d.Allowed {
		rec.refuse(p.limited(d.Refusal, rec))
		return
	}
	if c.preflight && p.cors != nil {
		p.answerPreflight(rec, r)
		return
	}
	p.forward(rec, r, &exchange{call: c, proxy: p, record: rec, forwardedFor: chain}, d)
}

// limited is the refusal of a request, or another in its place if its client has sent too many requests
// without a valid key.
func (p *Proxy) limited(refusal *Error, rec *record) *Error {
	if refusal.Code != CodeMissingKey && refusal.Code != CodeInvalidKey {
		return refusal
	}
	after, tooMany := p.failures.count(rec.client, rec.started)
	if !tooMany {
		return refusal
	}
	return &Error{
		Code: CodeTooManyFailures, Detail: "too many requests without a valid API key came from this address; wait, or send a valid key",
		Reason: refusal.Reason, RetryAfter: after,
	}
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID returns the ID of a request: the trusted peer's if it has one, or else a new one.
func (p *Proxy) requestID(r *http.Request) string {
	if len(p.trusted) > 0 && contains(p.trusted, peerIP(r)) {
		if id := r.Header.Get("X-Request-Id"); requestIDPattern.MatchString(id) {
			return id
		}
	}
	var b [12]byte
	var text [2 * len(b)]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	hex.Encode(text[:], b[:])
	return string(text[:])
}

func (p *Proxy) logUpstream(u Upstream) {
	if u.Up {
		p.log.Info().Str("upstream", p.upstream.Redacted()).Msg("the runner can be reached")
		return
	}
	p.log.Error().Str("upstream", p.upstream.Redacted()).Err(u.Err).
		Msg("the runner cannot be reached; requests get 502 until it can: is it running, and is --upstream right?")
}

// logWriter passes the lines of net/http's own log on, as far as they say what went wrong and where. What follows may
// be words of the caller or the runner, such as a trailer that is none; not so when a connection is not taken.
type logWriter struct{ log zerolog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	if parts := strings.SplitN(line, ": ", 3); len(parts) == 3 && parts[1] != "Accept error" {
		line = parts[0] + ": " + parts[1]
	}
	w.log.Debug().Msg(line)
	return len(b), nil
}
