// Package proxy is the gate: it finds out which chatflow a request is for, decides by the key store's snapshot whether
// it may pass, and forwards what may.
//
// The upstream request is rebuilt from the parsed one; the client's path bytes are never forwarded. The grammar of
// requests is left to package route, keys to package keystore, what operators see to package admin, and settings, files
// and signals to the caller.
package proxy

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/connection"
	"github.com/flowlatch/flowlatch/proxy/credential"
	"github.com/flowlatch/flowlatch/proxy/header"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/share"
	"github.com/flowlatch/flowlatch/proxy/stats"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// Proxy is the gate. It is an http.Handler; all methods may be called concurrently.
type Proxy struct {
	opts      Options
	exposed   *route.Table // of the routes that are exposed
	known     *route.Table // of all routes, to explain refusals
	dial      dialer
	transport roundTripper

	connections *connection.Set // of clients
	upstream    upstreamShare   // who may have requests at the upstream
	bodyBudget  *body.Budget    // memory for bodies that are read before they are forwarded
	unread      *share.Pool     // for refusals that clients have not read yet
	credentials credential.Files
	failures    *Failures
	unreadable  unreadablePeers // trusted proxies whose X-Forwarded-For is malformed
	cors        *header.CORS    // nil if the upstream sets the CORS headers

	lingering *connection.Lingering
	inflight  inflight
	streams   streams
	created   created
	messages  *token.Messages // counts those of browser tokens
	health    health
	stats     *stats.Stats
	sampler   logSampler
	errorLog  *log.Logger // for net/http

	aborts    atomic.Int64 // how many requests are telling the upstream to abort others
	endedLate atomic.Bool  // a request was counted whose key or chatflow may be gone
}

// New returns a gate. The error lists everything that is wrong with the options.
func New(o Options) (*Proxy, error) {
	o.setDefaults()
	p := &Proxy{
		opts: o, dial: dialUpstream, failures: NewFailures(o.FailureLimit), cors: header.NewCORS(o.CORSOrigins),
		sampler: logSampler{log: o.Log}, errorLog: log.New(logWriter{o.Log}, "", 0),
	}
	var err error
	if p.exposed, p.known, err = tables(o); err != nil {
		return nil, err
	}
	if p.opts.Certificates == nil {
		if p.opts.Certificates, err = certificate.Open(certificate.Files{}, certificate.Options{}); err != nil {
			return nil, err
		}
	}
	p.lingering = connection.NewLingering(2 * p.opts.MaxBody)
	p.connections = connection.NewSet(o.MaxConnections, p.lingering, p.logConnections)
	p.upstream = newUpstreamShare(o.MaxForwarded)
	p.bodyBudget = body.NewBudget(o.MaxCheckedBody)
	p.unread = share.NewPool(maxUnread, maxUnreadAddress)
	p.unreadable.known = map[netip.Addr]bool{}
	p.credentials.Preset = o.Preset
	p.credentials.Failed = func(path string, err error) {
		o.Log.Error().Err(err).Str("file", path).Msg("the upstream's credential cannot be read; the last good one stays in use")
	}
	if path := o.UpstreamAuthorization.Path; path != "" {
		_, _ = p.credentials.Value(path, p.Now()) // so that there is a last good content from the start; requests report a fault
	}
	p.messages = token.NewMessages()
	p.health.changed = p.logHealth
	p.stats = stats.New(o.Registry, o.Version)
	o.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flowlatch_connections", Help: "Client connections that are open now.",
	}, func() float64 { return float64(p.connections.Count()) }))
	p.transport = newTransport(p.opts, func(ctx context.Context, network, addr string) (net.Conn, error) { return p.dial(ctx, network, addr) })
	return p, nil
}

// tables returns the table of the exposed routes, and the table of all routes.
func tables(o Options) (exposed, known *route.Table, err error) {
	known, err = route.NewTable(o.Routes)
	if err := errors.Join(route.ValidateExpose(o.Expose, o.Routes), header.ValidateOrigins(o.CORSOrigins), route.ValidatePrefix(o.PathPrefix), err); err != nil {
		return nil, nil, err
	}
	var open []*route.Route
	for _, r := range o.Routes {
		if !slices.Contains(o.Expose, r.Group) {
			continue
		}
		if r.Discovery && !o.DiscoveryKeyed {
			listed := *r
			listed.Access = route.ListedOnly
			r = &listed
		}
		open = append(open, r)
	}
	if exposed, err = route.NewTable(open); err != nil {
		return nil, nil, err
	}
	for _, t := range []*route.Table{exposed, known} {
		t.PublicURL, t.Prefix = o.PublicURL, o.PathPrefix
	}
	return exposed, known, nil
}

// ServeHTTP authorizes a request and forwards it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	admitted := p.inflight.begin()
	if admitted {
		defer p.inflight.end() // after the log line, or a drain could end before it is written
	}
	x := p.newExchange(w, r)
	defer x.end()
	if !admitted {
		x.refuse(&problem.Error{Code: problem.Draining, RetryAfter: time.Second, Detail: "this gate is shutting down; send the request again"})
		return
	}
	if p.serveOwn(x, r) {
		return
	}
	p.authorize(&x.authorization, r, x.started, x.client, assumed{})
	x.beginLimits() // does nothing if the body names the chatflow
	p.authorizeBody(&x.authorization, &x.body)
	x.beginLimits() // if it did
	x.countMessage()
	if x.Allowed && x.Opens && x.Key != nil {
		p.stats.Use(&x.counted, x.Key, x.Secret, x.started)
	}
	switch {
	case !x.Allowed:
		x.refuse(p.refusalOf(x))
	case x.Preflight && p.cors != nil:
		p.cors.AnswerPreflight(&x.response, r)
	default:
		x.forward(r)
	}
}

// refusalOf returns the refusal of a request. If its client has sent too many requests without a valid key, that is a
// 429.
func (p *Proxy) refusalOf(x *exchange) *problem.Error {
	if x.Refusal.Code != problem.MissingKey && x.Refusal.Code != problem.InvalidKey {
		return x.Refusal
	}
	after, tooMany := p.failures.Count(x.client, x.started)
	if !tooMany {
		return x.Refusal
	}
	return &problem.Error{
		Code: problem.TooManyFailures, Detail: "too many requests without a valid API key came from this address; wait, or send a valid key",
		Reason: x.Refusal.Reason, RetryAfter: after,
	}
}

// Now returns the time at which the validity of keys is decided.
func (p *Proxy) Now() time.Time { return p.at(time.Now()) }

// at is like Now for callers that know the time; a clock in the options overrides it.
func (p *Proxy) at(now time.Time) time.Time {
	if p.opts.Now != nil {
		return p.opts.Now()
	}
	return now
}

// Stats returns what became of requests since the start.
func (p *Proxy) Stats() *stats.Stats { return p.stats }

// Options returns the gate's options, with defaults filled in.
func (p *Proxy) Options() Options { return p.opts }

// OpenRequests returns how many requests are open, and whether the gate drains and refuses new ones.
func (p *Proxy) OpenRequests() (open int64, draining bool) {
	return p.inflight.open.Load(), p.inflight.closed.Load()
}

// Health returns what is known of the upstream.
func (p *Proxy) Health() Health { return p.health.get() }

// logConnections logs that there were too many client connections.
func (p *Proxy) logConnections(closed, refused int) {
	p.opts.Log.Warn().Int("max_connections", p.opts.MaxConnections).Int("closed", closed).Int("refused", refused).
		Msg("too many client connections: those that were idle for longest are closed, or new ones where none is idle; raise --max-connections or `ulimit -n`, or limit clients before the gate")
}

func (p *Proxy) logHealth(h Health) {
	upstream := p.opts.Upstream.Redacted()
	if h.Up {
		p.opts.Log.Info().Str("upstream", upstream).Msg("the upstream can be reached")
		return
	}
	log := p.opts.Log.Error().Str("upstream", upstream).Err(h.Err)
	if errors.Is(h.Err, errNoResponse) {
		log.Msg("the upstream does not respond; requests get 504 after --upstream-timeout until it does: is it stuck or overloaded?")
		return
	}
	log.Msg("the upstream cannot be reached; requests get 502 until it can: is it running, and is --upstream right?")
}

// logWriter forwards the lines of net/http's own log, cut to the part that says what went wrong and where. The rest may
// contain what the client or the upstream sent, except when accepting a connection failed.
type logWriter struct{ log zerolog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	if parts := strings.SplitN(line, ": ", 3); len(parts) == 3 && parts[1] != "Accept error" {
		line = parts[0] + ": " + parts[1]
	}
	w.log.Debug().Msg(line)
	return len(b), nil
}
