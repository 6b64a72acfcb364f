package doctor

import (
	"net"
	"net/http"
	"net/url"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// aroundTheGate looks for ways to the upstream that do not lead through the gate.
func (e *examination) aroundTheGate() {
	const check = "around the gate"
	if e.Upstream == nil {
		own := ""
		if e.status != nil {
			own = "; the gate's is " + e.status.Upstream.URL
		}
		e.add(check, NotChecked, "name the upstream with --upstream to have this checked%s", own)
		return
	}
	certain := e.sameUpstream()
	loopback := isLoopback(e.Upstream.Hostname())
	r, reached := get(e.Upstream, nil, e.target.alive)
	switch {
	case reached && e.isFlowlatch(e.Upstream):
		e.add(check, OK, "%s is answered by flowlatch itself", e.Upstream)
	case reached && (r.status == 0 || r.status == http.StatusBadRequest) && speaksTLS(e.Upstream):
		e.add(check, Fault, "%s speaks TLS; begin --upstream with https:// to have this checked", e.Upstream)
	case reached && r.notTLS:
		e.add(check, Fault, "%s does not speak TLS; begin --upstream with http:// to have this checked", e.Upstream)
	case reached && !loopback:
		e.add(check, Open, "%s answers here (%v), without the gate; let it listen on 127.0.0.1 only (%s), publish no port of it, or close it with a network policy", e.Upstream, r, e.target.alone)
	case reached:
		e.add(check, Look, "%s answers on this machine: every program here can reach the upstream without the gate; keep others off the machine or pod", e.Upstream)
	case certain && !e.gateReachesUpstream():
		e.add(check, Look, "%s cannot be reached from here, and the gate cannot reach it either: start it, and run this again", e.Upstream)
	case certain:
		e.add(check, OK, "%s cannot be reached from here", e.Upstream)
	default:
		e.add(check, Look, "%s cannot be reached from here, which is good if it is the upstream (see %s)", e.Upstream, upstreamCheck)
	}
	if !loopback {
		return
	}
	for _, addr := range ownAddresses() {
		at := &url.URL{Scheme: e.Upstream.Scheme, Host: net.JoinHostPort(addr, origin.PortOf(e.Upstream)), Path: e.Upstream.Path}
		if r, reached := get(at, nil, e.target.alive); reached && !e.isFlowlatch(at) {
			e.add(check, Open, "the upstream answers at %s too (%v), which others can reach; let it listen on 127.0.0.1 only (%s)", at.Host, r, e.target.alone)
		}
	}
}

// gateReachesUpstream reports whether the gate says that its upstream is up.
func (e *examination) gateReachesUpstream() bool {
	return e.status.Upstream.Up != nil && *e.status.Upstream.Up
}

func isLoopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// ownAddresses returns the addresses at which others may reach this machine.
func ownAddresses() (list []string) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			list = append(list, n.IP.String())
		}
	}
	return list
}
