package proxy

import (
	"cmp"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/limit"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// Options configure a Proxy.
type Options struct {
	// Store holds the keys. Required.
	Store *keystore.Store
	// Upstream is where requests go: scheme, host and port, and a path that is put before every other. Required.
	Upstream *url.URL
	// Certificates are for TLS with clients and with an https upstream. Nil means that clients connect without TLS, and
	// that an upstream is verified by the system's CAs.
	Certificates *certificate.Store
	// Preset is what is known of the upstream. Nil means [route.Flowise].
	Preset *route.Preset
	// Routes are all known routes. Nil means those of the preset.
	Routes []*route.Route
	// Expose are the exposed route groups. Nil means those that the preset exposes.
	Expose []string
	// DiscoveryKeyed requires a key on routes that official clients call without one.
	DiscoveryKeyed bool
	// PublicURL is the origin under which clients know the gate. If it is nil, the upstream gets its own host as Host.
	PublicURL *url.URL
	// PathPrefix is what clients put before every path, such as /chat. The upstream never sees it. Empty means none.
	PathPrefix string
	// UpstreamAuthorization is the credential sent upstream for chatflows that do not set one. The zero value means none.
	UpstreamAuthorization keystore.UpstreamAuthorization
	// IdentityHeaders tells the upstream the ID of the key that opened the chatflow, and the chatflow's ID.
	IdentityHeaders bool
	// MaxBody is the largest request body, in bytes. Zero means 50 MiB.
	MaxBody int64
	// MaxCheckedBody is the largest request body, in bytes, that is read to look for members which a chatflow denies.
	// Memory for up to 64 such bodies is held at once. Zero means 1 MiB.
	MaxCheckedBody int64
	// MaxConnections is how many client connections may be open. Zero means [DefaultMaxConnections].
	MaxConnections int
	// MaxForwarded is how many requests may be at the upstream at once, given the file descriptors that are left for
	// connections to it. Zero means no limit.
	MaxForwarded int
	// StandardTransport sends requests with net/http's Transport instead of package transport.
	StandardTransport bool
	// UpstreamTimeout is how long the upstream may take to begin its response. Zero means 10 minutes.
	UpstreamTimeout time.Duration
	// CutRevoked ends the open streams of a key that is revoked or expires.
	CutRevoked bool
	// CORSOrigins are the origins whose pages may call the gate, as [header.ValidateOrigins] accepts them. If there are
	// none, the upstream sets the CORS headers.
	CORSOrigins []string
	// FailureLimit is how many requests without a valid key a client address may send before they get 429. The zero
	// value means [DefaultFailureLimit], a negative Burst no limit.
	FailureLimit FailureLimit
	// Limiter counts what keys, chatflows and clients use. Nil means a [limit.Local].
	Limiter Limiter
	// Tokens sign and verify browser tokens. Nil means a random secret that only this process has.
	Tokens *token.Secrets
	// TrustedProxies are the peers whose X-Forwarded-For and X-Request-Id are believed.
	TrustedProxies []netip.Prefix
	// Log is the log. The zero value discards everything.
	Log zerolog.Logger
	// QuietAllowed omits the log lines of requests that were allowed and served. Refused and failed requests, and those
	// to which the upstream responded with a status of 500 or above, keep theirs.
	QuietAllowed bool
	// Version is the version in the metrics.
	Version string
	// Now is the clock by which the validity of keys is decided. Nil means [time.Now].
	Now func() time.Time
	// Registry is where metrics are registered. Nil means a new one.
	Registry *prometheus.Registry
}

// The defaults of Options.
const (
	DefaultMaxBody         = 50 << 20 // bytes
	DefaultMaxCheckedBody  = 1 << 20  // bytes
	DefaultUpstreamTimeout = 10 * time.Minute
)

func (o *Options) setDefaults() {
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.MaxCheckedBody = min(cmp.Or(o.MaxCheckedBody, DefaultMaxCheckedBody), o.MaxBody)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.UpstreamTimeout = cmp.Or(o.UpstreamTimeout, DefaultUpstreamTimeout)
	o.FailureLimit = cmp.Or(o.FailureLimit, DefaultFailureLimit)
	if o.Limiter == nil {
		o.Limiter = &limit.Local{}
	}
	if o.Tokens == nil {
		o.Tokens = token.Random()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Preset == nil {
		o.Preset = route.Flowise()
	}
	if o.Routes == nil {
		o.Routes = o.Preset.Routes
	}
	if o.Expose == nil {
		o.Expose = o.Preset.Expose
	}
}
