package doctor

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

const upstreamCheck = "--upstream"

// sameUpstream adds a finding about whether --upstream is the upstream of the gate, and reports whether it certainly
// is.
func (e *examination) sameUpstream() (certain bool) {
	given := e.Upstream
	if e.status == nil {
		e.add(upstreamCheck, NotChecked, "that %s is the gate's upstream could not be proved without the gate's admin listener (see %s)", given, adminCheck)
		return false
	}
	own, err := url.Parse(e.status.Upstream.URL)
	switch {
	case err != nil:
		e.add(upstreamCheck, NotChecked, "the gate says that its upstream is %q, which is no URL", e.status.Upstream.URL)
		return false
	case isSameURL(own, given):
		e.add(upstreamCheck, OK, "%s is the gate's upstream", given)
		return true
	}
	there, reached := get(given, nil, e.target.alive)
	switch {
	case reached && e.isFlowlatch(given):
		e.add(upstreamCheck, Fault, "%s is a gate, and not the upstream of this one, which is %s; give that", given, own)
		return false
	case !reached || there.status == 0:
		if r, ok := get(own, nil, e.target.alive); ok && r.status != 0 {
			e.add(upstreamCheck, Fault, "%s does not answer, and the gate's upstream is %s, which does; give that", given, own)
			return false
		}
		e.add(upstreamCheck, Look, "%s does not answer here, and the gate's upstream is %s: that both are the same server could not be proved; is it the right address?", given, own)
		return false
	}
	return e.compareUpstreams(own, there)
}

// compareUpstreams compares --upstream, whose response was there, with the gate's own upstream.
func (e *examination) compareUpstreams(own *url.URL, there reply) (certain bool) {
	given := e.Upstream
	label, found, same := e.commonChatflow()
	switch {
	case found && same:
		e.add(upstreamCheck, OK, "%s has chatflow %s, as the gate's upstream has, %s: it is the same server, or a copy of it", given, label, own)
		return true
	case found:
		e.add(upstreamCheck, Fault, "%s is not the gate's upstream, which is %s: it does not have chatflow %s; give that", given, own, label)
		return false
	}
	if here, reached := get(own, nil, e.target.alive); reached && here.status != 0 && (here.status != there.status || here.text != there.text) {
		e.add(upstreamCheck, Fault, "%s is not the gate's upstream, which is %s: to GET %s the one responds %v, the other %v; give that", given, own, e.target.alive, there, here)
		return false
	}
	e.add(upstreamCheck, Look, "the gate's upstream is %s: that %s is the same server could not be proved; is it the right address?", own, given)
	return false
}

// shownChatflows is how many chatflows the gate is asked for.
const shownChatflows = 20

// commonChatflow looks, through the gate, for a chatflow that the gate's upstream has, and then whether --upstream has
// it, too. found is false if no chatflow can be looked for without a key, or if --upstream seems to have every
// chatflow.
func (e *examination) commonChatflow() (label string, found, same bool) {
	if e.target.exists == "" {
		return "", false, false
	}
	ask := func(base *url.URL, id string) reply {
		certificates := e.Certificates
		if base == e.Upstream {
			certificates = nil
		}
		r, _ := get(base, certificates, strings.ReplaceAll(e.target.exists, nobody, id))
		return r
	}
	isThere := func(r reply) bool { return r.status == http.StatusOK && r.code == "" && r.json != nil }
	for _, c := range e.status.Chatflows {
		if !isThere(ask(e.URL, c.ID)) {
			continue
		}
		there := ask(e.Upstream, c.ID)
		if isThere(there) && isThere(ask(e.Upstream, unknownChatflow())) {
			return "", false, false
		}
		return cmp.Or(c.Name, c.ID), true, isThere(there)
	}
	return "", false, false
}

// isSameURL reports whether two URLs lead to the same server as seen from here, however they are written.
func isSameURL(a, b *url.URL) bool {
	if !strings.EqualFold(a.Scheme, b.Scheme) || origin.PortOf(a) != origin.PortOf(b) || strings.TrimRight(a.Path, "/") != strings.TrimRight(b.Path, "/") {
		return false
	}
	if strings.EqualFold(a.Hostname(), b.Hostname()) {
		return true
	}
	addresses := addressesOf(a.Hostname())
	return slices.ContainsFunc(addressesOf(b.Hostname()), func(addr string) bool { return slices.Contains(addresses, addr) })
}

// addressesOf returns the addresses of a host; none if its name cannot be looked up here.
func addressesOf(host string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	addresses, _ := net.DefaultResolver.LookupHost(ctx, host)
	return addresses
}
