package proxy

import (
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// account counts an exchange that has ended, and writes its log line.
func (x *exchange) account() {
	w := &x.response
	if w.status == 0 {
		w.status = statusClientClosed
	}
	if w.stream {
		x.endStream()
	}
	took := time.Since(x.started)
	ended := stats.Request{
		ID: x.id, Method: logMethod(w.request.Method), Client: x.client, Started: x.started, Ended: x.started.Add(took), FirstByte: w.firstByte,
		Route: x.routeLabel(), Chatflow: x.Entry, Key: x.Key, Secret: x.Secret, Status: w.status, Err: x.err, Allowed: x.Allowed, Honey: x.isHoney(),
		Outlives: !x.limits.sent.IsZero() && x.outlivesClient(), Abandoned: x.limits.abandoned,
	}
	if x.refusedByUpstream() {
		ended.UpstreamHint = x.upstreamHint
	}
	x.hint = x.proxy.stats.End(&x.counted, &ended)
	if result := x.tokenResult(); result != "" {
		x.proxy.stats.BrowserToken(x.Key.ID, result)
	}
	if x.countedForGone(x.proxy.opts.Store.Snapshot()) {
		x.proxy.endedLate.Store(true)
	}
	x.log(took)
}

// routeLabel returns what logs and metrics call the route by; empty if the route is not known.
func (x *exchange) routeLabel() string {
	if x.Request == nil || x.Route == nil {
		return ""
	}
	return x.Route.Label()
}

// log writes the log line. It contains no path, query, header or body: nothing that the client could choose freely,
// except for the hexadecimal digits of its trace.
func (x *exchange) log(took time.Duration) {
	p, w := x.proxy, &x.response
	if p.opts.QuietAllowed && x.unremarkable() || !p.mayLog(x) {
		return
	}
	e := p.opts.Log.WithLevel(x.logLevel())
	if !e.Enabled() {
		return
	}
	decision := "refuse"
	if x.Allowed {
		decision = "allow"
	}
	e.Str("request_id", x.id).Str("method", logMethod(w.request.Method))
	if x.trace != "" {
		trace, span := x.trace.IDs()
		e.Str("trace_id", trace).Str("span_id", span)
	}
	if route := x.routeLabel(); route != "" {
		e.Str("route", route)
	}
	if x.Entry != nil {
		e.Str("chatflow", x.Entry.Label())
	}
	if x.Key != nil {
		e.Str("key", x.Key.ID)
		if x.Secret != nil && len(x.Key.Secrets()) > 1 {
			e.Str("key_fingerprint", x.Secret.Fingerprint()) // shows who still uses the old secret
		}
	}
	if t := x.question.Page.Token; t != nil {
		e.Str("user", t.UserHash())
	}
	if x.isHoney() {
		e.Bool("honey", true)
	}
	e.Str("decision", decision).Int("status", w.status)
	if x.err != nil {
		e.Str("code", string(x.err.Code))
		if x.err.Reason != "" {
			e.Str("reason", x.err.Reason)
		} else if x.err.Detail != "" {
			e.Str("reason", x.err.Detail)
		}
	}
	if x.limits.over != "" {
		e.Str("limit", x.limits.over)
	}
	if x.hint != "" {
		e.Str("hint", x.hint)
	}
	e.Int64("bytes", w.bytes)
	if !w.firstByte.IsZero() {
		e.Dur("ttfb_ms", w.firstByte.Sub(x.started))
	}
	e.Dur("duration_ms", took).Bool("stream", w.stream).Str("client", x.client.String())
	e.Msg("request")
}

// logLevel says how much a request's line matters: whoever is on call looks at errors first, then at warnings.
func (x *exchange) logLevel() zerolog.Level {
	switch {
	case x.isHoney(), x.err != nil && x.response.status >= 500:
		return zerolog.ErrorLevel
	case x.err != nil && x.err.Code != problem.ClientClosed:
		return zerolog.WarnLevel
	case x.err == nil && x.response.status >= http.StatusInternalServerError:
		return zerolog.WarnLevel // the upstream's own response: the gate did what it should
	case x.hint != "":
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

// isHoney reports whether the request presented a honey key. That makes no difference to whether it was allowed: a honey
// key is refused like any other wrong key.
func (x *exchange) isHoney() bool { return x.Validity == keystore.Honey }

// unremarkable reports whether a request was allowed, and served as client and upstream wanted.
func (x *exchange) unremarkable() bool {
	return x.Allowed && !x.isHoney() && x.err == nil && x.response.status < http.StatusInternalServerError && x.hint == ""
}

// logMethod returns the method if it is a usual one, because any token can be sent as a method.
func logMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	}
	return "other"
}

// mayLog reports whether a request gets a log line. Clients without a valid key, and those that exceed the limits of a
// key, must not be able to fill a disk, unless the log level is debug.
func (p *Proxy) mayLog(x *exchange) bool {
	switch {
	case p.opts.Log.GetLevel() <= zerolog.DebugLevel:
		return true
	case x.Opens:
		return !x.limits.refused || p.sampler.allow(sampled{x.err.Code, x.Key.ID}, x.started)
	case x.isHoney():
		return p.sampler.allow(sampled{code: problem.HoneyKey}, x.started)
	case x.Allowed:
		return p.sampler.allow(sampled{code: problem.AllowedWithoutKey}, x.started)
	}
	return x.err == nil || p.sampler.allow(sampled{code: x.err.Code}, x.started)
}

// Limits on log lines for requests without a valid key, and for those that exceed a limit. For each code and key: a
// burst, and a number for each second after that. The others are counted in one line every summaryTime.
const (
	sampleBurst = 100
	sampleRate  = 10
	summaryTime = 10 * time.Second
)

// logSampler says which of these requests get a log line. Each code has an allowance of its own for each key, and for all
// clients without one, so a flood of one kind does not hide the others. Its methods may be called concurrently.
type logSampler struct {
	log zerolog.Logger

	mu      sync.Mutex // guards the fields below
	kinds   map[sampled]*sampledKind
	pending bool // a summary is due
}

// sampled is a kind of request.
type sampled struct {
	code problem.Code
	key  string // ID of the key that would have opened what the request asked for; empty if there is none
}

type sampledKind struct {
	limiter *rate.Limiter
	omitted int64 // since the last summary
}

func (s *logSampler) allow(kind sampled, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.kinds[kind]
	if c == nil {
		if s.kinds == nil {
			s.kinds = map[sampled]*sampledKind{}
		}
		c = &sampledKind{limiter: rate.NewLimiter(sampleRate, sampleBurst)}
		s.kinds[kind] = c
	}
	if c.limiter.AllowN(now, 1) {
		return true
	}
	c.omitted++
	if !s.pending {
		s.pending = true
		time.AfterFunc(summaryTime, s.summarize)
	}
	return false
}

// summarize logs how many requests got no line since the last summary.
func (s *logSampler) summarize() {
	var all int64
	omitted := map[problem.Code]int64{}
	s.mu.Lock()
	for kind, c := range s.kinds {
		if c.omitted > 0 {
			omitted[kind.code] += c.omitted
			all += c.omitted
			c.omitted = 0
		} else if c.limiter.Tokens() >= sampleBurst {
			delete(s.kinds, kind) // a new one would be the same
		}
	}
	s.pending = false
	s.mu.Unlock()
	if all > 0 {
		codes := zerolog.Dict()
		for code, n := range omitted {
			codes.Int64(string(code), n)
		}
		s.log.Warn().Int64("requests", all).Dict("codes", codes).
			Msg("requests that were refused, or let in without a key, too many to log one by one; flowlatch_requests_total counts them all")
	}
}
