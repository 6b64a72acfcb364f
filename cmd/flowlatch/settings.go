package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// The settings are declared once, here: flag, environment variable, default and help. All are taken
// as text, because a value may come from three places and a fault in it must name the right one.

// configSetting is the settings file, which every command that has settings can read.
type configSetting struct {
	Config string `env:"FLOWLATCH_CONFIG" placeholder:"FILE" help:"YAML file with these settings, each named as its flag is, with _ for -."`
}

type keysSetting struct {
	Keys string `env:"FLOWLATCH_KEYS" default:"/etc/flowlatch/keys.yaml" help:"The key file."`
}

type adminSetting struct {
	Admin string `env:"FLOWLATCH_ADMIN" default:"127.0.0.1:9901" help:"Where the operator comes in: the status page at /, /livez, /readyz, /metrics, /status, POST /-/reload. It asks for no key."`
}

// settings are all settings of the gate.
type settings struct {
	configSetting
	Preset                string `env:"FLOWLATCH_PRESET" default:"flowise" help:"Which runner it is: flowise, langflow or n8n. Routes, IDs and headers follow from it."`
	Listen                string `env:"FLOWLATCH_LISTEN" default:":8080" help:"Where callers come in."`
	TLSCert               string `name:"tls-cert" env:"FLOWLATCH_TLS_CERT" placeholder:"FILE" help:"PEM file of the certificate that callers are shown, and those on the way to its authority after it; callers then come in by https, and by nothing else. Read again when it changes. With --tls-key."`
	TLSKey                string `name:"tls-key" env:"FLOWLATCH_TLS_KEY" placeholder:"FILE" help:"PEM file of the key of --tls-cert."`
	ClientCA              string `name:"client-ca" env:"FLOWLATCH_CLIENT_CA" placeholder:"FILE" help:"PEM file of the authorities of callers' certificates. Callers must then show one, besides their key."`
	Upstream              string `env:"FLOWLATCH_UPSTREAM" default:"http://127.0.0.1:3000" help:"The flow runner. If not set, port 7860 with the preset langflow, 5678 with n8n."`
	UpstreamCA            string `name:"upstream-ca" env:"FLOWLATCH_UPSTREAM_CA" placeholder:"FILE" help:"PEM file of the authorities that an https runner's certificate is checked against; without it, the system's."`
	UpstreamCert          string `name:"upstream-cert" env:"FLOWLATCH_UPSTREAM_CERT" placeholder:"FILE" help:"PEM file of the certificate that an https runner is shown, if it asks for one. With --upstream-key."`
	UpstreamKey           string `name:"upstream-key" env:"FLOWLATCH_UPSTREAM_KEY" placeholder:"FILE" help:"PEM file of the key of --upstream-cert."`
	UpstreamTimeout       string `env:"FLOWLATCH_UPSTREAM_TIMEOUT" default:"10m" help:"How long the runner may take to begin an answer. There is no limit on how long one lasts."`
	UpstreamTransport     string `env:"FLOWLATCH_UPSTREAM_TRANSPORT" default:"direct" help:"How requests go to a runner by plain HTTP: direct (the gate's own, which costs least) or standard (that of Go's net/http). An https runner always gets standard."`
	UpstreamAuthorization string `env:"FLOWLATCH_UPSTREAM_AUTHORIZATION" default:"remove" help:"What becomes of the caller's key: remove, forward, or file:PATH to send the one in that file instead. A chatflow may override it."`
	keysSetting
	adminSetting
	Expose         string `env:"FLOWLATCH_EXPOSE" default:"predict" help:"Groups of routes that are open, separated by commas: predict, widget, upsert, mcp, webhook (Flowise); run, advanced, webhook (Langflow; run if not set); webhook (n8n; open if not set); and those of your own routes."`
	Discovery      string `env:"FLOWLATCH_DISCOVERY" default:"open" help:"Whether GET chatflows-streaming/ID of a listed chatflow needs a key (keyed) or not (open), as Flowise's SDKs ask it without one."`
	PublicURL      string `name:"public-url" env:"FLOWLATCH_PUBLIC_URL" placeholder:"URL" help:"The origin under which callers know the gate, told to the runner as Host and X-Forwarded-*. Without it the runner is told its own."`
	MaxBody        string `env:"FLOWLATCH_MAX_BODY" default:"50MiB" help:"Larger request bodies are refused."`
	MaxCheckedBody string `env:"FLOWLATCH_MAX_CHECKED_BODY" default:"1MiB" help:"Largest request body for a chatflow that denies members of it, which is held in memory while it is checked; larger ones are refused."`
	WaitForKeys    string `env:"FLOWLATCH_WAIT_FOR_KEYS" default:"0s" help:"How long to wait at the start for a key file that is not there or has a fault. Without it that is an error."`
	CutStreams     toggle `name:"cut-streams-on-revoke" env:"FLOWLATCH_CUT_STREAMS_ON_REVOKE" default:"false" help:"End the open streams of a key within 5 s when it is revoked or expires (true); otherwise they may finish (false)."`
	Drain          string `env:"FLOWLATCH_DRAIN" default:"25s" help:"How long open requests and streams may go on after SIGTERM."`
	FailureLimit   string `env:"FLOWLATCH_FAILURE_LIMIT" default:"30/1m" placeholder:"N/TIME" help:"How many requests without a valid key a client address (an IPv6 network of 64 bits) may send in a time before it is answered 429; or off. Requests with a valid key are never counted or refused by it."`
	CORSOrigins    string `name:"cors-origins" env:"FLOWLATCH_CORS_ORIGINS" placeholder:"ORIGINS" help:"Origins whose pages may call, separated by commas, such as https://www.example.com or https://*.example.com; * for all. The gate then answers preflights itself and sets the CORS headers of every answer. Without it the runner does."`
	TrustedProxies string `env:"FLOWLATCH_TRUSTED_PROXIES" placeholder:"CIDRS" help:"Networks of the proxies before the gate, separated by commas, whose X-Forwarded-For and X-Request-Id count."`
	LogLevel       string `env:"FLOWLATCH_LOG_LEVEL" default:"info" help:"debug, info, warn (refusals and failures only) or error."`
	LogAllowed     toggle `env:"FLOWLATCH_LOG_ALLOWED" default:"true" help:"Write a log line for each request that was let in and answered (true), or only for refusals, failures and the runner's 5xx (false)."`
	LogFormat      string `env:"FLOWLATCH_LOG_FORMAT" default:"json" help:"json, or console for people."`
}

// toggle is a setting that is on or off. As a flag it may stand without a value.
type toggle string

// IsBool tells kong that the flag needs no value.
func (t toggle) IsBool() bool { return true }

// Decode takes the flag's value as it was written.
func (t *toggle) Decode(ctx *kong.DecodeContext) error { //nolint:unparam // what kong.MapperValue asks for
	*t = "true"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*t = toggle(ctx.Scan.Pop().String())
	}
	return nil
}

// config is the settings, understood.
type config struct {
	preset            *route.Preset
	listen, admin     string
	keys              string
	upstream          *url.URL
	certificates      certificate.Files
	upstreamCA        *x509.CertPool
	upstreamTimeout   time.Duration
	standardTransport bool
	authorization     keystore.UpstreamAuthorization
	expose            []string
	discoveryKeyed    bool
	publicURL         *url.URL
	maxBody           int64
	maxCheckedBody    int64
	failureLimit      proxy.FailureLimit
	corsOrigins       []string
	drain             time.Duration
	waitForKeys       time.Duration
	cutStreams        bool
	trustedProxies    []netip.Prefix
	logLevel          zerolog.Level
	logAllowed        bool
	logFormat         string
	routes            []*route.Route // all
	own               []*route.Route // those of the settings file

	sources []source // of every setting, in the order of their declaration
}

// source is where a setting has its value from.
type source struct{ name, value, place string }

// resolve merges the settings of the command that runs, default ← file ← environment ← flag, and
// returns everything that is wrong with them at once.
func resolve(ctx *kong.Context) (*config, error) {
	c := &config{}
	var errs []error
	errs = append(errs, unknownVariables(ctx)...)
	flags := map[string]*kong.Flag{}
	for _, f := range ctx.Flags() {
		if len(f.Envs) > 0 {
			flags[f.Name] = f
		}
	}
	file := &settingsFile{}
	if f := flags["config"]; f != nil {
		if s := sourceOf(ctx, f, file); s.value != "" {
			var err error
			if file, err = readSettings(s.value, settingNames(ctx), func(f *settingsFile) *route.Preset { return presetOf(ctx, flags["preset"], f) }); errors.As(err, new(strictyaml.Faults)) {
				errs = append(errs, err)
			} else if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.place, err))
			}
		}
	}
	c.preset, c.own = presetOf(ctx, flags["preset"], file), file.routes
	c.routes = slices.Concat(c.preset.Routes, c.own)
	for _, f := range ctx.Flags() {
		if len(f.Envs) == 0 {
			continue
		}
		s := sourceOf(ctx, f, file)
		byDefault := s.place == "default"
		if byDefault {
			s.value = defaultOf(c.preset, s)
		}
		c.sources = append(c.sources, s)
		err := c.set(s.name, s.value)
		if err == nil && !byDefault {
			err = fitsPreset(c.preset, s.name)
		}
		for _, err := range each(err) {
			errs = append(errs, fmt.Errorf("%s: %w", s.place, err))
		}
	}
	errs = append(errs, c.checkCertificates(len(errs) == 0)...)
	if overlap(c.listen, c.admin) {
		errs = append(errs, errors.New("--listen and --admin are the same address; the admin listener must not be where callers come in"))
	}
	if len(errs) > 0 {
		return c, usageError{errors.Join(errs...)}
	}
	return c, nil
}

// overlap reports whether two addresses to listen on are the same, or one includes the other.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	every := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return errA == nil && errB == nil && portA == portB && portA != "0" && (hostA == hostB || every(hostA) || every(hostB))
}

// each returns the errors that were joined in err, so that each can be given its place.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// sourceOf returns a setting's value and the place it comes from. An empty variable counts as none,
// since that is how compose files pass on a variable that is not set.
func sourceOf(ctx *kong.Context, f *kong.Flag, file *settingsFile) source {
	s := source{name: f.Name, value: f.Target.String()}
	for _, p := range ctx.Path {
		if p.Flag == f {
			s.place = "--" + f.Name
			return s
		}
	}
	for _, name := range f.Envs {
		if os.Getenv(name) != "" {
			s.place = "environment variable " + name
			return s
		}
	}
	if v, ok := file.values[f.Name]; ok {
		s.value, s.place = v.text, fmt.Sprintf("%s:%d: %s", file.path, v.line, v.name)
		return s
	}
	s.value, s.place = f.Default, "default"
	return s
}

// set understands one setting.
func (c *config) set(name, value string) (err error) {
	switch name {
	case "preset":
		_, err = route.PresetNamed(value)
	case "listen":
		c.listen, err = address(value)
	case "admin":
		c.admin, err = address(value)
	case "keys":
		c.keys, err = required(value)
	case "upstream":
		c.upstream, err = upstreamURL(value)
	case "upstream-ca":
		c.certificates.UpstreamCA = value
		c.upstreamCA, err = authorities(value)
	case "upstream-cert":
		c.certificates.UpstreamCert, err = value, checkFile(value, certificate.CheckCertificate)
	case "upstream-key":
		c.certificates.UpstreamKey, err = value, checkFile(value, certificate.CheckKey)
	case "tls-cert":
		c.certificates.ServerCert, err = value, checkFile(value, certificate.CheckCertificate)
	case "tls-key":
		c.certificates.ServerKey, err = value, checkFile(value, certificate.CheckKey)
	case "client-ca":
		c.certificates.ClientCA, err = value, checkFile(value, certificate.CheckCertificate)
	case "upstream-timeout":
		if c.upstreamTimeout, err = duration(value); err == nil && c.upstreamTimeout == 0 {
			err = errors.New("must be more than zero; a runner that never answers would hold requests for ever")
		}
	case "upstream-transport":
		c.standardTransport, err = value == "standard", oneOf(value, "direct", "standard")
	case "upstream-authorization":
		if c.authorization, err = keystore.ParseUpstreamAuthorization(value); c.authorization.Mode == keystore.UpstreamFile {
			_, err = proxy.ReadCredential(c.preset, c.authorization.Path)
		}
	case "expose":
		c.expose = list(value)
		err = route.ValidateExpose(c.expose, c.routes)
	case "discovery":
		c.discoveryKeyed = value == "keyed"
		err = oneOf(value, "open", "keyed")
	case "public-url":
		c.publicURL, err = origin(value)
	case "max-body":
		c.maxBody, err = size(value)
	case "max-checked-body":
		c.maxCheckedBody, err = size(value)
	case "cors-origins":
		c.corsOrigins = list(value)
		err = proxy.ValidateOrigins(c.corsOrigins)
	case "failure-limit":
		c.failureLimit, err = failureLimit(value)
	case "drain":
		c.drain, err = duration(value)
	case "wait-for-keys":
		c.waitForKeys, err = duration(value)
	case "cut-streams-on-revoke":
		c.cutStreams, err = value == "true", oneOf(value, "true", "false")
	case "trusted-proxies":
		c.trustedProxies, err = networks(value)
	case "log-level":
		if err = oneOf(value, "debug", "info", "warn", "error"); err == nil {
			c.logLevel, err = zerolog.ParseLevel(value)
		}
	case "log-allowed":
		c.logAllowed, err = value == "true", oneOf(value, "true", "false")
	case "log-format":
		c.logFormat, err = value, oneOf(value, "json", "console")
	}
	return err
}

// kubernetesVariable matches what Kubernetes puts into every container for each Service of its
// namespace: with a Service named flowlatch, FLOWLATCH_PORT=tcp://10.0.0.1:8080 and more.
var kubernetesVariable = regexp.MustCompile(`^FLOWLATCH_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// protocolPort matches those of them that hold a number.
var protocolPort = regexp.MustCompile(`_PORT_[0-9]+_(TCP|UDP|SCTP)_PORT$`)

// unknownVariables returns an error for each variable that looks like a setting and is none.
func unknownVariables(ctx *kong.Context) (errs []error) {
	known := []string{importPassword, importAPIKey}
	for _, name := range settingNames(ctx) {
		known = append(known, variable(name))
	}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		kubernetes := kubernetesVariable.MatchString(name) && (!strings.HasSuffix(name, "_PORT") || strings.Contains(value, "://") || strings.HasSuffix(name, "_SERVICE_PORT") || protocolPort.MatchString(name))
		if strings.HasPrefix(name, "FLOWLATCH_") && !slices.Contains(known, name) && !kubernetes {
			errs = append(errs, fmt.Errorf("environment variable %s: there is no such setting%s", name, closest(name, known)))
		}
	}
	return errs
}

func variable(flag string) string {
	return "FLOWLATCH_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settingNames returns the names of all settings, whichever command runs.
func settingNames(ctx *kong.Context) (names []string) {
	for _, node := range ctx.Model.Children {
		if node.Name == "serve" {
			for _, f := range node.Flags {
				if len(f.Envs) > 0 {
					names = append(names, f.Name)
				}
			}
		}
	}
	return names
}
