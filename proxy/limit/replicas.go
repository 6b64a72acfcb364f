package limit

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// The times of [FollowReplicas].
const (
	lookUpEvery = 10 * time.Second
	// stable is for how long there must be fewer gates before the others take over their shares: at a rollout, their number
	// goes up and down, and a share that is too large would exceed a limit.
	stable = 30 * time.Second
)

// FollowReplicas keeps this gate's share of all limits by the addresses of a name, one for each gate, as a headless Service
// of Kubernetes has them, until ctx is done. own are the addresses of this gate. Without an answer, the last one holds.
// changed is told of each new share.
func FollowReplicas(ctx context.Context, name string, own []netip.Addr, set func(Share), changed func(Share, error)) {
	resolver := &net.Resolver{PreferGo: true} // that of the C library may keep answers
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
	all   []netip.Addr // of the share
	since time.Time    // since when there are fewer
}

// heard says which share this gate has now that these addresses are there, and whether that is another one.
func (r *replicas) heard(all []netip.Addr, now time.Time) (s Share, changed bool) {
	for i := range all {
		all[i] = all[i].Unmap().WithZone("")
	}
	slices.SortFunc(all, netip.Addr.Compare)
	all = slices.Compact(all)
	mine := slices.IndexFunc(all, func(a netip.Addr) bool { return slices.Contains(r.own, a) })
	s = Share{Index: mine, Count: len(all)}
	if mine < 0 { // it is not ready yet, or does not know its address: it counts as one more
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
