package limit

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// The times that [FollowReplicas] uses.
const (
	lookUpEvery = 10 * time.Second
	// stable is how long there must be fewer gates before the others take over their shares. During a rollout the number
	// goes up and down, and with shares that are too large the gates together would exceed a limit.
	stable = 30 * time.Second
)

// FollowReplicas sets this gate's share of all limits by the addresses that name resolves to, one for each gate, as for a
// headless Service of Kubernetes. It runs until ctx is done. own are the addresses of this gate. While the name does not
// resolve, the last share stays. changed is called with each new share, and with each new error.
func FollowReplicas(ctx context.Context, name string, own []netip.Addr, set func(Share), changed func(Share, error)) {
	resolver := &net.Resolver{PreferGo: true} // the C library's resolver may cache
	r := replicas{own: own}
	tick := time.NewTicker(lookUpEvery)
	defer tick.Stop()
	var fault string
	for {
		within, cancel := context.WithTimeout(ctx, lookUpEvery/2)
		all, err := resolver.LookupNetIP(within, "ip", name)
		cancel()
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && err.Error() != fault:
			fault = err.Error()
			changed(r.share, err)
		case err == nil:
			fault = ""
			if share, is := r.heard(all, time.Now()); is {
				set(share)
				changed(share, nil)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// replicas are the gates that share limits.
type replicas struct {
	own   []netip.Addr
	share Share
	all   []netip.Addr // the addresses that share was computed from
	since time.Time    // since when there are fewer gates
}

// heard returns this gate's share if these are the addresses of all gates, and whether the share has changed.
func (r *replicas) heard(all []netip.Addr, now time.Time) (s Share, changed bool) {
	for i := range all {
		all[i] = all[i].Unmap().WithZone("")
	}
	slices.SortFunc(all, netip.Addr.Compare)
	all = slices.Compact(all)
	mine := slices.IndexFunc(all, func(a netip.Addr) bool { return slices.Contains(r.own, a) })
	s = Share{Index: mine, Count: len(all)}
	if mine < 0 { // it is not ready yet, or does not know its address, so it counts as one more
		s = Share{Index: len(all), Count: len(all) + 1}
	}
	switch {
	case s.Count < r.share.Count:
		if r.since.IsZero() {
			r.since = now
		}
		if now.Sub(r.since) < stable {
			return r.share, false
		}
	case s == r.share && slices.Equal(all, r.all):
		r.since = time.Time{}
		return s, false
	}
	changed = s != r.share
	r.share, r.all, r.since = s, all, time.Time{}
	return s, changed
}

// OwnAddresses returns the addresses of this machine's interfaces.
func OwnAddresses() (own []netip.Addr, err error) {
	all, err := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own, err
}
