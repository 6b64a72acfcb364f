package proxy

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/limit"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/share"
)

// Limiter counts what keys, chatflows and clients use: [limit.Local], or [limit.Redis] for several gates. All methods may
// be called concurrently.
type Limiter interface {
	Begin(g *limit.Grant, holders []limit.Holder, now time.Time) limit.Verdict
	End(g *limit.Grant, u limit.Use)
	Standings(holders []limit.Holder, now time.Time) []limit.Standing
	// Low returns the standings that have less than a quarter left.
	Low(holders []limit.Holder, now time.Time) []limit.Standing
	Usage(ctx context.Context, now time.Time) ([]limit.Usage, error)
	// Open returns how many requests of a key are at the upstream.
	Open(key string) int64
	Prune(now time.Time)
}

// limits are what a request counts against. The request keeps its place until the upstream is done with it: see
// timeWithoutClient.
type limits struct {
	holders []limit.Holder // empty until the request is counted
	grant   limit.Grant
	over    string        // the limit that the request exceeds, enforced or not, for logs and metrics; else empty
	stream  time.Duration // how long the response may last; zero for no limit
	sent    time.Time     // when the request was sent upstream; zero if it was not

	begun      bool
	refused    bool // an enforced limit is exceeded
	low        bool // less than a quarter of one is left
	holdsPlace bool // the number of requests at once is limited, and this request counts

	left      atomic.Int64  // when the client left, in nanoseconds since 1970; 0 if it did not
	abandoned time.Duration // how long the upstream went on with the request afterwards
}

// add adds a holder, and its limit on how long a response may last.
func (l *limits) add(h limit.Holder) {
	if l.holders == nil {
		l.holders = make([]limit.Holder, 0, 3) // few requests have more
	}
	l.holders = append(l.holders, h)
	if h.Limits == nil {
		return
	}
	l.holdsPlace = l.holdsPlace || h.Limits.Concurrent > 0 && !l.grant.Placeless
	if h.Limits.Stream > 0 && !h.Limits.Observe && (l.stream == 0 || h.Limits.Stream < l.stream) {
		l.stream = h.Limits.Stream
	}
}

// beginLimits counts an allowed request against the limits of its key, chatflow, client and user, or refuses it. It does
// nothing until the chatflow is known.
func (x *exchange) beginLimits() {
	l := &x.limits
	if !x.Allowed || x.Preflight || x.question.InBody || l.begun {
		return
	}
	l.grant.Placeless = x.Route.AbortsOther // else the requests that take the places could not be aborted
	if x.Opens && x.Key != nil {
		l.add(limit.Holder{Kind: limit.Key, ID: x.Key.ID, Limits: x.Key.Limits})
	}
	if c := x.Entry; c != nil {
		// Clients that are let in without a key to a chatflow that is not public, for discovery, must not use up what its
		// keys may use.
		if x.Opens || c.Public {
			l.add(limit.Holder{Kind: limit.Chatflow, ID: c.ID, Limits: c.Limits})
		}
		if c.ClientLimits != nil {
			l.add(limit.Holder{Kind: limit.Client, ID: c.ID, Client: share.Network(x.client), Limits: c.ClientLimits})
		}
	}
	if t := x.question.Page.Token; t != nil && x.Opens && x.Key.Browser.PerUser != nil {
		l.add(limit.Holder{Kind: limit.User, ID: x.Key.ID, User: t.UserHash(), Limits: x.Key.Browser.PerUser})
	}
	if len(l.holders) == 0 {
		return
	}
	v := x.proxy.opts.Limiter.Begin(&l.grant, l.holders, x.now)
	l.refused, l.low = v.Refused.Reason != limit.None, v.Low
	l.begun = !l.refused
	over := v.Observed
	if l.refused {
		over = v.Refused
	}
	if over.Reason == limit.None {
		return
	}
	l.over = whoseLimit(over.Holder, over.Reason, over.Unit, over.Limit)
	key, chatflow := x.labels()
	x.proxy.stats.Limited(key, chatflow, l.over)
	if l.refused {
		x.deny(limitExceeded(over, l.over))
	}
}

// whoseLimit names a limit with its holder, such as "key requests: 10/1s".
func whoseLimit(k limit.Kind, r limit.Reason, u keystore.Unit, value string) string {
	return k.String() + " " + fieldOf(r, u) + ": " + value
}

// endLimits counts what the request has used, once. The upstream is done with it.
func (x *exchange) endLimits() {
	l := &x.limits
	if !l.begun {
		return
	}
	if at := l.left.Load(); at > 0 && x.outlivesClient() {
		l.abandoned = time.Since(time.Unix(0, at))
	}
	l.begun = false
	use := limit.Use{Unsent: l.sent.IsZero(), Bytes: x.response.bytes + x.body.Received()}
	if !use.Unsent {
		use.Time = time.Since(l.sent)
	}
	x.proxy.opts.Limiter.End(&l.grant, use)
	if !use.Unsent {
		x.proxy.stats.Used(&x.counted, use.Time, use.Bytes)
	}
}

// labels returns the ID of the key that was presented, and what metrics call the chatflow by. Each is empty if there is
// none.
func (x *exchange) labels() (key, chatflow string) {
	if x.Key != nil {
		key = x.Key.ID
	}
	if x.Entry != nil {
		chatflow = x.Entry.Label()
	}
	return key, chatflow
}

// limitExceeded returns the response to a request that exceeds a limit. name is the limit in the log. The sentences are
// meant for the visitor of a web page.
func limitExceeded(e limit.Excess, name string) *problem.Error {
	err := &problem.Error{RetryAfter: max(e.RetryAfter, time.Second), Reason: "limit exceeded: " + name}
	wait := inWords(err.RetryAfter)
	switch e.Reason {
	case limit.Concurrent:
		err.Code, err.Detail = problem.TooManyConcurrent, "too many questions are being answered at once; try again in a moment"
	case limit.Quota:
		err.Code, err.Detail, err.Final = problem.QuotaExceeded, "what may be used in this "+periodOf(e.Limit)+" is used up; try again in "+wait, true
	default:
		err.Code, err.Detail = problem.RateLimited, "too many requests in a short time; try again in "+wait
	}
	return err
}

func periodOf(quota string) string {
	_, period, _ := strings.Cut(quota, "/")
	return period
}

// LimitName returns a limit as it is written in the key file, with its field, such as "requests: 10/1s".
func LimitName(r limit.Reason, u keystore.Unit, value string) string {
	return fieldOf(r, u) + ": " + value
}

func fieldOf(r limit.Reason, u keystore.Unit) string {
	if r == limit.Concurrent {
		return "concurrent"
	}
	return u.String()
}

// inWords returns a time in words, rounded up.
func inWords(d time.Duration) string {
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if d < 2*unit.of && unit.of > time.Second {
			continue
		}
		n := int64((d + unit.of - 1) / unit.of)
		if n == 1 {
			return "1 " + unit.name
		}
		return strconv.FormatInt(n, 10) + " " + unit.name + "s"
	}
	return ""
}

// addLimitHeader adds the fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11) for the client's
// limits that have less than a quarter left, if there are any. It leaves out limits that others share: the chatflow's and,
// for a page with a browser token, the key's.
func (x *exchange) addLimitHeader(h http.Header) {
	l := &x.limits
	if !l.low && !l.refused {
		return
	}
	policies, standings := make([]byte, 0, 256), make([]byte, 0, 256) // enough for most, so that append does not allocate
	now := x.proxy.Now()
	for i := range l.holders {
		if !x.isTold(&l.holders[i]) {
			continue
		}
		for _, s := range x.proxy.opts.Limiter.Low(l.holders[i:i+1], now) {
			if len(policies) > 0 {
				policies, standings = append(policies, ", "...), append(standings, ", "...)
			}
			name := whoseLimit(s.Holder, s.Reason, s.Unit, s.Limit)
			policies, standings = appendPolicy(policies, name, &s), appendStanding(standings, name, &s)
		}
	}
	if len(policies) > 0 {
		h["Ratelimit-Policy"], h["Ratelimit"] = []string{string(policies)}, []string{string(standings)}
	}
}

// isTold reports whether the client may learn what is left of a holder's limits.
func (x *exchange) isTold(h *limit.Holder) bool {
	shared := h.Kind == limit.Chatflow || h.Kind == limit.Key && x.question.Page.Token != nil
	return !shared && h.Limits != nil && !h.Limits.Observe
}

// appendName appends the name of a limit as a quoted string, for both fields. It contains nothing that needs escaping.
func appendName(b []byte, name string) []byte { return append(append(append(b, '"'), name...), '"') }

// appendPolicy appends a limit as RateLimit-Policy has it.
func appendPolicy(b []byte, name string, s *limit.Standing) []byte {
	b = strconv.AppendInt(append(appendName(b, name), ";q="...), s.N, 10)
	if s.Reason == limit.Concurrent {
		return append(b, `;qu="concurrent-requests"`...)
	}
	b = strconv.AppendInt(append(b, ";w="...), problem.Seconds(s.Window), 10)
	switch {
	case s.Reason != limit.Quota:
	case s.Unit == keystore.Bytes:
		b = append(b, `;qu="content-bytes"`...)
	case s.Unit == keystore.StreamSeconds:
		b = append(b, `;qu="stream-seconds"`...)
	}
	return b
}

// appendStanding appends what is left of a limit, as RateLimit has it.
func appendStanding(b []byte, name string, s *limit.Standing) []byte {
	b = strconv.AppendInt(append(appendName(b, name), ";r="...), s.Left, 10)
	if s.Reason == limit.Concurrent {
		return b
	}
	return strconv.AppendInt(append(b, ";t="...), problem.Seconds(s.Reset), 10)
}
