package limit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// MaxClients is the most client addresses (each counted per chatflow), and the most users, whose use is kept. Beyond
// that, arbitrary ones without an open request are forgotten and start afresh.
const MaxClients = 1 << 16

// Local counts in this process. The zero value is ready; all methods may be called concurrently.
type Local struct {
	keys, chatflows accounts[string]
	clients         accounts[client]
	users           accounts[user]
	share           atomic.Pointer[Share]
	pruned          atomic.Int64 // when Prune was first called, in nanoseconds since 1970
}

// client is a client address at a chatflow.
type client struct {
	chatflow string
	address  netip.Addr
}

// user is a user of a key's browser tokens.
type user struct{ key, user string }

// Grant is a request that has been counted. The zero value is a request that has not.
type Grant struct {
	// Placeless says that the request does not count among those at once. It must be set before the request is counted.
	Placeless bool

	accounts [Holders]*account
	n        int
	began    int64 // when it was counted, in seconds since 1970
}

// SetShare sets this gate's part of all limits. It takes effect with the next request.
func (l *Local) SetShare(s Share) { l.share.Store(&s) }

// Begin counts a request against all holders, or against none of them if it exceeds an enforced limit of any. holders are in the
// order of their kinds, at most one of each. If the request was counted, End must be called with the grant.
func (l *Local) Begin(g *Grant, holders []Holder, now time.Time) Verdict {
	return l.begin(g, holders, l.rule(), now)
}

func (l *Local) begin(g *Grant, holders []Holder, r rule, now time.Time) Verdict {
	l.lock(g, holders)
	v := g.begin(holders, r, now)
	g.unlock()
	if v.Refused.Reason != None {
		*g = Grant{}
	}
	return v
}

// begin counts a request, unless it exceeds a limit. The caller holds the locks of its accounts.
func (g *Grant) begin(holders []Holder, r rule, now time.Time) (v Verdict) {
	accounts := g.accounts[:g.n]
	g.began = now.Unix()
	for i, a := range accounts {
		a.enter(holders[i].Limits, &r, now)
	}
	for reason := g.firstReason(); reason <= Quota; reason++ {
		for _, a := range accounts {
			wait, which := a.exceeds(reason, &r, now)
			if wait == 0 {
				continue
			}
			e := a.excess(reason, wait, which)
			if !a.limits.Observe {
				for _, a := range accounts {
					a.refuse()
				}
				return Verdict{Refused: e}
			}
			if v.Observed.Reason == None {
				v.Observed = e
			}
		}
	}
	for _, a := range accounts {
		v.Low = a.begin(&r, g.places(), now) || v.Low
	}
	return v
}

// undo takes back what begin counted under the same rule, and counts a refusal if isRefused.
func (g *Grant) undo(r rule, isRefused bool) {
	for _, a := range g.accounts[:g.n] {
		a.mu.Lock()
		a.undo(&r, g.places(), g.began)
		if isRefused {
			a.refuse()
		}
		a.mu.Unlock()
	}
	*g = Grant{Placeless: g.Placeless}
}

// places returns how many of the requests at once g counts as.
func (g *Grant) places() int64 {
	if g.Placeless {
		return 0
	}
	return 1
}

// firstReason returns the reason to check first.
func (g *Grant) firstReason() Reason {
	if g.Placeless {
		return Rate
	}
	return Concurrent
}

// lock finds the accounts of all holders and locks them, always in the order of their kinds, so that requests cannot
// deadlock.
func (l *Local) lock(g *Grant, holders []Holder) {
	g.n = 0
	for i := range holders {
		var a *account
		for a == nil || a.gone {
			if a != nil {
				a.mu.Unlock()
			}
			a = l.account(&holders[i])
			a.mu.Lock()
		}
		g.accounts[g.n] = a
		g.n++
	}
}

func (g *Grant) unlock() {
	for _, a := range g.accounts[:g.n] {
		a.mu.Unlock()
	}
}

func (l *Local) account(h *Holder) *account {
	switch h.Kind {
	case Key:
		return l.keys.of(h.ID, h)
	case Chatflow:
		return l.chatflows.of(h.ID, h)
	case User:
		return l.users.of(user{h.ID, h.User}, h)
	default:
		return l.clients.of(client{h.ID, h.Client}, h)
	}
}

// End counts what a request has used. It must be called once for each grant, when the upstream is done with it.
func (l *Local) End(g *Grant, u Use) { l.end(g, u) }

// end reports whether it freed a place that other requests may be waiting for.
func (l *Local) end(g *Grant, u Use) (frees bool) {
	for _, a := range g.accounts[:g.n] {
		frees = a.end(u, g.places(), g.began) || frees
	}
	*g = Grant{}
	return frees
}

// Share returns this gate's part of all limits.
func (l *Local) Share() Share {
	if s := l.share.Load(); s != nil {
		return *s
	}
	return Share{}
}

func (l *Local) rule() rule { return rule{rates: l.Share(), quotas: l.Share()} }

// Prune forgets months whose usage is no longer kept, and holders that are as good as new. It should be called now and
// then. In the day after the first call it forgets no months, since the clock may be wrong at the start, and will have
// been set by then.
func (l *Local) Prune(now time.Time) {
	l.pruned.CompareAndSwap(0, now.UnixNano())
	before := int64(0)
	if now.UnixNano()-l.pruned.Load() > int64(24*time.Hour) {
		before = now.AddDate(0, -monthsKept, 0).Unix()
	}
	atRest := func(a *account) bool {
		a.enterPeriods(now)
		a.forget(before)
		return a.atRest(now)
	}
	l.keys.prune(atRest)
	l.chatflows.prune(atRest)
	l.clients.prune(atRest)
	l.users.prune(atRest)
}

// accounts are the accounts of one kind of holder.
type accounts[K comparable] struct {
	shared bool // with other gates
	mu     sync.RWMutex
	m      map[K]*account // guarded by mu
}

// of returns the account of h, whose key in the map is k. It makes one if there is none.
func (s *accounts[K]) of(k K, h *Holder) *account {
	s.mu.RLock()
	a := s.m[k]
	s.mu.RUnlock()
	if a != nil {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.m[k]; a != nil {
		return a
	}
	if s.m == nil {
		s.m = map[K]*account{}
	}
	if h.Kind.isMember() && len(s.m) >= MaxClients {
		s.drop((*account).idle, 1)
	}
	a = &account{kind: h.Kind, id: h.ID}
	if s.shared {
		a.others = &others{client: h.Client, user: h.User}
	}
	s.m[k] = a
	return a
}

// each calls do with each account.
func (s *accounts[K]) each(do func(*account)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.m {
		do(a)
	}
}

// eachAccount calls do with each account.
func (l *Local) eachAccount(do func(*account)) {
	l.keys.each(do)
	l.chatflows.each(do)
	l.clients.each(do)
	l.users.each(do)
}

// prune drops the accounts that idle returns true for.
func (s *accounts[K]) prune(idle func(*account) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(idle, len(s.m))
}

// drop drops at most n accounts that idle returns true for. The caller holds mu.
func (s *accounts[K]) drop(idle func(*account) bool, n int) {
	for k, a := range s.m {
		if n == 0 {
			return
		}
		if a.dropIf(idle) {
			delete(s.m, k)
			n--
		}
	}
}

// Open returns how many requests of a key are at the upstream.
func (l *Local) Open(key string) int64 {
	l.keys.mu.RLock()
	a := l.keys.m[key]
	l.keys.mu.RUnlock()
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

// Clients returns how many client addresses (each counted per chatflow) and users something is kept for.
func (l *Local) Clients() int { return l.clients.count() + l.users.count() }

func (s *accounts[K]) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.m)
}
