package config

import (
	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/flowise"
	"github.com/flowlatch/flowlatch/proxy/admin/signin"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/credential"
	"github.com/flowlatch/flowlatch/proxy/header"
	"github.com/flowlatch/flowlatch/proxy/limit"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// Flags declares all settings for the command line: name, variable, default and help. They are text without `enum`
// tags, and Resolve parses them: a value may come from four places, of which kong knows only two, and kong takes an
// empty variable for a value and stops at the first fault.
type Flags struct {
	FileFlag
	PresetFlag
	Listen                string `env:"FLOWLATCH_LISTEN" default:":8080" help:"Address where clients connect."`
	TLSCert               string `name:"tls-cert" env:"FLOWLATCH_TLS_CERT" placeholder:"FILE" help:"PEM file of the server certificate, followed by the intermediate certificates. Clients then connect over HTTPS only. Read again when it changes. Needs --tls-key."`
	TLSKey                string `name:"tls-key" env:"FLOWLATCH_TLS_KEY" placeholder:"FILE" help:"PEM file of the private key of --tls-cert."`
	ClientCA              string `name:"client-ca" env:"FLOWLATCH_CLIENT_CA" placeholder:"FILE" help:"PEM file of CA certificates. The TLS handshake then fails without a client certificate from one of them; clients still need a key."`
	Upstream              string `env:"FLOWLATCH_UPSTREAM" default:"http://127.0.0.1:3000" help:"URL of the upstream. If not set, port 7860 with the preset langflow, 5678 with n8n."`
	UpstreamCA            string `name:"upstream-ca" env:"FLOWLATCH_UPSTREAM_CA" placeholder:"FILE" help:"PEM file of the CA certificates that an HTTPS upstream is verified with. Default: those of the system."`
	UpstreamCert          string `name:"upstream-cert" env:"FLOWLATCH_UPSTREAM_CERT" placeholder:"FILE" help:"PEM file of the client certificate for an HTTPS upstream that asks for one. Needs --upstream-key."`
	UpstreamKey           string `name:"upstream-key" env:"FLOWLATCH_UPSTREAM_KEY" placeholder:"FILE" help:"PEM file of the private key of --upstream-cert."`
	UpstreamTimeout       string `env:"FLOWLATCH_UPSTREAM_TIMEOUT" default:"10m" help:"How long the upstream may take to begin a response. How long a response takes is not limited."`
	UpstreamTransport     string `env:"FLOWLATCH_UPSTREAM_TRANSPORT" default:"direct" help:"How requests go to the upstream: direct (flowlatch's own transport, which costs least) or standard (that of Go's net/http)."`
	UpstreamAuthorization string `env:"FLOWLATCH_UPSTREAM_AUTHORIZATION" default:"remove" help:"What becomes of the client's key: remove, forward, or file:PATH to send the credential in that file instead. A chatflow may override it."`
	IdentityHeaders       toggle `env:"FLOWLATCH_IDENTITY_HEADERS" default:"false" help:"Whether the upstream is told who called (true): X-Flowlatch-Key-Id, the ID of the key, and X-Flowlatch-Chatflow, the ID of the chatflow. A client's own headers of these names never pass."`
	KeysFlag
	KeysRequire string `env:"FLOWLATCH_KEYS_REQUIRE" placeholder:"FILES" help:"Names of files that the directory of --keys must have, comma-separated: at the start, and while one is gone its last good keys stay active."`
	AdminFlag
	AdminToken     string `name:"admin-token" env:"FLOWLATCH_ADMIN_TOKEN" placeholder:"file:PATH" help:"File with the admin token, as file:PATH: whoever has it may change keys, on the console at /console/ and by the API. Read again when it changes. Without it the admin listener changes nothing."`
	UpstreamAPI    string `name:"upstream-api" env:"FLOWLATCH_UPSTREAM_API" placeholder:"file:PATH" help:"File with an API key of Flowise that may list chatflows (chatflows:view), as file:PATH: the console then offers the chatflows that Flowise has, by name."`
	Expose         string `env:"FLOWLATCH_EXPOSE" default:"predict" help:"Groups of routes to expose, comma-separated: predict, widget, upsert, mcp, webhook (Flowise); run, advanced, webhook (Langflow; default run); webhook (n8n; default webhook); and those of your own routes."`
	Discovery      string `env:"FLOWLATCH_DISCOVERY" default:"open" help:"Whether GET chatflows-streaming/ID of a listed chatflow needs a key (keyed) or not (open). Flowise's SDKs ask it without one."`
	PublicURL      string `name:"public-url" env:"FLOWLATCH_PUBLIC_URL" placeholder:"URL" help:"Origin that clients know the gate by, sent to the upstream as Host and X-Forwarded-*. Default: the upstream's own."`
	PathPrefix     string `env:"FLOWLATCH_PATH_PREFIX" placeholder:"PATH" help:"What clients put before every path, such as /chat, where the gate is below a path of a site's own origin. The upstream never sees it. Other paths are 404."`
	MaxBody        string `env:"FLOWLATCH_MAX_BODY" default:"50MiB" help:"Larger request bodies are refused."`
	MaxCheckedBody string `env:"FLOWLATCH_MAX_CHECKED_BODY" default:"1MiB" help:"Largest request body for a chatflow that denies members of it; such a body is held in memory while it is checked. Larger ones are refused."`
	WaitForKeys    string `env:"FLOWLATCH_WAIT_FOR_KEYS" default:"0s" help:"How long to wait at the start for a key file that is missing or invalid. Without it that is an error."`
	CutStreams     toggle `name:"cut-streams-on-revoke" env:"FLOWLATCH_CUT_STREAMS_ON_REVOKE" default:"false" help:"Whether the open streams of a key end within 5 s when it is revoked or expires (true) or may finish (false)."`
	Drain          string `env:"FLOWLATCH_DRAIN" default:"25s" help:"How long open requests and streams may go on after SIGTERM."`
	MaxConnections string `env:"FLOWLATCH_MAX_CONNECTIONS" default:"10000" help:"How many client connections may be open; fewer if the file descriptors do not suffice for two each. Beyond it those are closed that were idle for longest."`
	FailureLimit   string `env:"FLOWLATCH_FAILURE_LIMIT" default:"30/1m" help:"How many requests without a valid key a client address (for IPv6, its /64 network) may send in a time before it gets 429, as N/TIME; or off. Requests with a valid key are never counted or refused."`
	LimitsRedis    string `env:"FLOWLATCH_LIMITS_REDIS" placeholder:"URL" help:"Redis that counts limits and usage for all replicas: redis://, rediss:// or unix://. Without it each gate counts alone."`
	LimitsReplicas string `env:"FLOWLATCH_LIMITS_REPLICAS" placeholder:"N" help:"Without Redis, how many replicas share the limits: a number N, with the place of this one among them I/N, or dns:NAME of a headless Service. Each takes its share."`
	LimitsFallback string `env:"FLOWLATCH_LIMITS_FALLBACK" default:"split" help:"What holds while Redis does not answer: split (each replica its share, by their last known number), local (each the whole) or closed (429 where there is a limit)."`
	UsageFile      string `env:"FLOWLATCH_USAGE_FILE" placeholder:"FILE" help:"Where usage and quotas are kept over restarts without Redis. Written every 10 s and at the end; made if it is not there."`
	BrowserSecretsFlag
	CORSOrigins    string `name:"cors-origins" env:"FLOWLATCH_CORS_ORIGINS" placeholder:"ORIGINS" help:"Origins whose pages may send requests, comma-separated, such as https://www.example.com or https://*.example.com; * for all. The gate then answers preflights itself and sets the CORS headers of every response. Without it the upstream does."`
	TrustedProxies string `env:"FLOWLATCH_TRUSTED_PROXIES" placeholder:"CIDRS" help:"Networks of the proxies in front of the gate, comma-separated, whose X-Forwarded-For and X-Request-Id are trusted."`
	LogLevel       string `env:"FLOWLATCH_LOG_LEVEL" default:"info" help:"debug, info, warn (refusals and failures only) or error."`
	LogAllowed     toggle `env:"FLOWLATCH_LOG_ALLOWED" default:"true" help:"Whether each allowed request has a log line (true), or only refusals, failures and the upstream's 5xx (false)."`
	LogFormat      string `env:"FLOWLATCH_LOG_FORMAT" default:"json" help:"json, or console for people."`
}

// FileFlag declares the settings file, which every command with settings reads.
type FileFlag struct {
	Config string `env:"FLOWLATCH_CONFIG" placeholder:"FILE" help:"YAML file with these settings, each named like its flag, with _ for -."`
}

// PresetFlag declares the kind of upstream.
type PresetFlag struct {
	Preset string `env:"FLOWLATCH_PRESET" default:"flowise" help:"The upstream's kind: flowise, langflow or n8n. It sets routes, form of IDs and headers."`
}

// KeysFlag declares the key file, or the directory of key files.
type KeysFlag struct {
	Keys string `env:"FLOWLATCH_KEYS" default:"/etc/flowlatch/keys.yaml" help:"The key file, or a directory of key files (*.yaml, *.yml, *.json)."`
}

// BrowserSecretsFlag declares the secrets of browser tokens.
type BrowserSecretsFlag struct {
	BrowserSecrets string `env:"FLOWLATCH_BROWSER_SECRETS" placeholder:"FILE" help:"File of the secrets that sign browser tokens, one a line, each 32 random bytes in base64. The first signs, all verify. Read again when it changes. Without it, a gate has a random one, for one replica, until it ends."`
}

// AdminFlag declares the admin listener.
type AdminFlag struct {
	Admin string `env:"FLOWLATCH_ADMIN" default:"127.0.0.1:9901" help:"Address of the admin listener: the status page at /, /livez, /readyz, /metrics, /status, POST /-/reload. It asks for no key."`
}

// toggle is a setting that is on or off. As a flag, it needs no value.
type toggle string

// IsBool tells kong that the flag needs no value.
func (t toggle) IsBool() bool { return true }

// Decode takes the flag's value as it was written.
func (t *toggle) Decode(ctx *kong.DecodeContext) error {
	*t = "true"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*t = toggle(ctx.Scan.Pop().String())
	}
	return nil
}

// settings returns a row for each setting: its name, what it sets, and what parses it.
func (c *Config) settings() []setting {
	p, f := &c.Proxy, &c.Certificates
	certificates := optional(checked(certificate.CheckCertificate))
	privateKey := optional(checked(certificate.CheckKey))
	return []setting{
		{name: "config", set: func(string) error { return nil }},                                         // read before all others
		{name: "preset", set: func(name string) error { _, err := route.PresetNamed(name); return err }}, // the routes depend on it
		one("listen", &c.Listen, Address),
		one("tls-cert", &f.ServerCert, certificates),
		one("tls-key", &f.ServerKey, privateKey),
		one("client-ca", &f.ClientCA, certificates),
		one("upstream", &p.Upstream, URL),
		one("upstream-ca", &f.UpstreamCA, certificates),
		one("upstream-cert", &f.UpstreamCert, certificates),
		one("upstream-key", &f.UpstreamKey, privateKey),
		one("upstream-timeout", &p.UpstreamTimeout, timeout),
		one("upstream-transport", &p.StandardTransport, is("standard", "direct", "standard")),
		one("upstream-authorization", &p.UpstreamAuthorization, c.authorization),
		one("identity-headers", &p.IdentityHeaders, is("true", "true", "false")),
		one("keys", &c.Keys, required),
		list("keys-require", &c.KeysRequire, keyFileNames),
		one("admin", &c.Admin, Address),
		one("admin-token", &c.AdminToken, optional(secretFile("the admin token", signin.ReadToken))),
		one("upstream-api", &c.UpstreamAPI, optional(secretFile("an API key of Flowise", flowise.ReadAPIKey))),
		list("expose", &p.Expose, c.groups),
		one("discovery", &p.DiscoveryKeyed, is("keyed", "open", "keyed")),
		one("public-url", &p.PublicURL, optional(origin)),
		one("path-prefix", &p.PathPrefix, checked(route.ValidatePrefix)),
		one("max-body", &p.MaxBody, size),
		one("max-checked-body", &p.MaxCheckedBody, size),
		one("wait-for-keys", &c.WaitForKeys, keystore.ParseDuration),
		one("cut-streams-on-revoke", &p.CutRevoked, is("true", "true", "false")),
		one("drain", &c.Drain, keystore.ParseDuration),
		one("max-connections", &p.MaxConnections, connections),
		one("failure-limit", &p.FailureLimit, failureLimit),
		hidden(one("limits-redis", &c.LimitsRedis, optional(limit.ParseRedisURL))),
		one("limits-replicas", &c.LimitsReplicas, replicas),
		one("limits-fallback", &c.LimitsFallback, fallback),
		one("usage-file", &c.UsageFile, anyText),
		one("browser-secrets", &c.BrowserSecrets, optional(checked(token.CheckFile))),
		list("cors-origins", &p.CORSOrigins, checked(header.ValidateOrigins)),
		list("trusted-proxies", &p.TrustedProxies, networks),
		one("log-level", &c.LogLevel, level),
		one("log-allowed", &p.QuietAllowed, is("false", "true", "false")),
		one("log-format", &c.LogConsole, is("console", "json", "console")),
	}
}

// setting is a row of the table.
type setting struct {
	name string
	list bool // may be a list in the settings file

	secret bool // its value is not shown
	set    func(text string) error
}

// shown returns s as commands may show it.
func (t setting) shown(s Source) Source {
	if t.secret && s.Value != "" {
		s.Value = "(not shown)"
	}
	return s
}

// hidden marks a setting whose value may contain a secret.
func hidden(s setting) setting {
	s.secret = true
	return s
}

// one returns a setting with one value. A value that parse returns with an error is kept, so that a path counts as
// given even if its file is invalid.
func one[T any](name string, to *T, parse func(string) (T, error)) setting {
	return setting{name: name, set: func(text string) (err error) {
		*to, err = parse(text)
		return err
	}}
}

// list returns a setting with several values, separated by commas.
func list[T any](name string, to *[]T, parse func(items []string) ([]T, error)) setting {
	s := one(name, to, func(text string) ([]T, error) { return parse(items(text)) })
	s.list = true
	return s
}

// groups parses the names of route groups, which the preset or the settings file must have.
func (c *Config) groups(names []string) ([]string, error) {
	return names, route.ValidateExpose(names, c.Proxy.Routes)
}

// authorization parses the upstream's credential. The preset says what a credential in a file looks like.
func (c *Config) authorization(text string) (keystore.UpstreamAuthorization, error) {
	a, err := keystore.ParseUpstreamAuthorization(text)
	if a.Mode == keystore.UpstreamFile {
		_, err = credential.Read(c.Proxy.Preset, a.Path)
	}
	return a, err
}
