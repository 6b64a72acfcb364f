package proxy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/origin"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// CheckBrowser adds warnings to the snapshot about browser tokens that no request could use.
func CheckBrowser(s *keystore.Snapshot, o *Options) {
	if !s.AnyBrowser() {
		return
	}
	var exposed []string // of the groups that tokens are for
	for _, group := range browserGroups {
		if slices.Contains(o.Expose, group) && slices.ContainsFunc(o.Routes, func(r *route.Route) bool { return r.Group == group }) {
			exposed = append(exposed, group)
		}
	}
	for _, k := range s.Keys() {
		if k.Browser == nil {
			continue
		}
		for _, text := range browserFaults(k, exposed, o) {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s: key %q: browser: %s", k.Place(), k.ID, text))
		}
	}
}

// browserFaults says why tokens of a key would be useless.
func browserFaults(k *keystore.Key, exposed []string, o *Options) (texts []string) {
	switch {
	case exposed == nil:
		return []string{"no route is exposed that browser tokens are for, which are those of the groups predict and widget"}
	case len(k.Groups) > 0 && !slices.ContainsFunc(k.Groups, func(group string) bool { return slices.Contains(exposed, group) }):
		return []string{"groups has none of those that browser tokens are for and that are exposed, so they open nothing; add predict or widget"}
	}
	if len(k.From) > 0 && !slices.ContainsFunc(k.From, isNetwork) {
		texts = append(texts, "from has addresses of single machines alone, and tokens must come from there, too: if it is your server, no visitor's browser can use one; "+
			"add the networks of the visitors, or leave from out")
	}
	switch {
	case k.Browser.Cookie && o.PublicURL == nil:
		texts = append(texts, "no cookie is accepted without --public-url, the origin of the pages that send it")
	case k.Browser.Cookie && !slices.Contains(k.Browser.Origins, origin.Of(o.PublicURL)):
		texts = append(texts, "no cookie is accepted unless origins has that of --public-url, "+origin.Of(o.PublicURL))
	}
	return texts
}

// isNetwork reports whether p has addresses of several machines.
func isNetwork(p netip.Prefix) bool { return !p.IsSingleIP() && !p.Addr().IsLoopback() }
