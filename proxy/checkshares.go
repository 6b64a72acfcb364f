package proxy

import (
	"fmt"
	"strconv"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// maxShareWarnings is the most warnings about limits: a file may have a million keys.
const maxShareWarnings = 100

// WarnOfShares adds a warning to the snapshot for each limit that is too small for every one of the gates to get a share.
// Fewer than two gates share nothing.
func WarnOfShares(s *keystore.Snapshot, gates int) {
	if gates < 2 {
		return
	}
	warned := 0
	warn := func(place, whose string, l *keystore.Limits) {
		for _, name := range belowShares(l, int64(gates)) {
			if warned++; warned > maxShareWarnings {
				return
			}
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s: %s: limit %q is less than the %d of --limits-replicas, so gates without a share refuse every request; raise it, or count with --limits-redis",
				place, whose, name, gates))
		}
	}
	for _, k := range s.Keys() {
		warn(k.Place(), fmt.Sprintf("key %q", k.ID), k.Limits)
	}
	for _, c := range s.Chatflows() {
		warn(c.Place(), fmt.Sprintf("chatflow %q", c.ID), c.Limits)
		warn(c.Place(), fmt.Sprintf("chatflow %q, per_client", c.ID), c.ClientLimits)
	}
}

// belowShares returns the names of enforced limits that are less than the number of gates.
func belowShares(l *keystore.Limits, gates int64) (names []string) {
	if l == nil || l.Observe {
		return nil
	}
	if l.Concurrent > 0 && int64(l.Concurrent) < gates {
		names = append(names, LimitName(limit.Concurrent, 0, strconv.Itoa(l.Concurrent)))
	}
	for _, r := range l.Rates {
		if r.N < gates {
			names = append(names, LimitName(limit.Rate, keystore.Requests, r.String()))
		}
	}
	for _, q := range l.Quotas {
		if q.N < gates {
			names = append(names, LimitName(limit.Quota, q.Unit, q.String()))
		}
	}
	return names
}
