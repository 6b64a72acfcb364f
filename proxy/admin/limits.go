package admin

import (
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// LimitStatus is a quota of a key, or its limit of requests at the upstream at once, and what is used of it.
type LimitStatus struct {
	Limit string `json:"limit"` // as the key file has it, such as "requests: 10000/month"
	// Of is the limit, or the share of this gate; Used counts all gates that share a Redis.
	Of       int64 `json:"of"`
	Used     int64 `json:"used"`
	Enforced bool  `json:"enforced"`
}

// limitStatus returns what a key has used of its limits. Rates are left out: they come and go within seconds.
func (a *Admin) limitStatus(k *keystore.Key, now time.Time) (all []LimitStatus) {
	if k.Limits.Empty() {
		return nil
	}
	for _, s := range a.opts.Limiter.Standings([]limit.Holder{{Kind: limit.Key, ID: k.ID, Limits: k.Limits}}, now) {
		if s.Reason != limit.Rate {
			all = append(all, LimitStatus{proxy.LimitName(s.Reason, s.Unit, s.Limit), s.N, s.N - s.Left, !s.Observed})
		}
	}
	return all
}

// degraded reports whether limits are shared through a Redis that does not answer.
func (a *Admin) degraded() bool {
	shared, ok := a.opts.Limiter.(interface{ Up() bool })
	return ok && !shared.Up()
}
