package doctor

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/flowise"
	"github.com/flowlatch/flowlatch/proxy/route"
)

const upstreamKeysCheck = "upstream's keys"

// setUpstreamKey says how the upstream gets a key of its own.
const setUpstreamKey = "set upstream_authorization: forward if clients send that key, or file:PATH for the gate to send it"

// upstreamKeys looks for what the upstream itself refuses because it wants a key of its own: clients then get the
// upstream's errors, even with a valid key.
func (e *examination) upstreamKeys() {
	if e.status != nil {
		for _, r := range e.status.UpstreamRefusals {
			where := "route " + r.Route
			if r.Chatflow != "" {
				where = "chatflow " + r.Chatflow + ", " + where
			}
			e.add(upstreamKeysCheck, Look, "%s: at %s the upstream responded %d to a request that the gate had allowed: %s", where, r.Time.Format(time.RFC3339), r.Status, r.Hint)
		}
		e.exposedRoutes()
	}
	if e.Preset.FlowiseKeys && e.Upstream != nil {
		e.flowiseKeys()
	}
}

// exposedRoutes reports exposed routes for which the upstream is known to want a key of its own.
func (e *examination) exposedRoutes() {
	s := e.status.Settings
	for _, r := range e.Preset.Routes {
		if r.UpstreamKey == "" || !slices.Contains(s.Expose, r.Group) || s.UpstreamAuthorization != "remove" {
			continue
		}
		status, asked := e.askUpstream(r)
		switch {
		case asked && (status == http.StatusUnauthorized || status == http.StatusForbidden):
			e.add(upstreamKeysCheck, Look, "route %s is exposed (group %s), and the upstream itself responds %d there without %s; %s", r.Label(), r.Group, status, r.UpstreamKey, setUpstreamKey)
		case !asked:
			e.add(upstreamKeysCheck, Look, "route %s is exposed (group %s), and the upstream may respond 401 there without %s; %s", r.Label(), r.Group, r.UpstreamKey, setUpstreamKey)
		}
	}
}

// askUpstream asks the upstream itself, without the gate, for a chatflow that does not exist.
func (e *examination) askUpstream(r *route.Route) (status int, asked bool) {
	if e.Upstream == nil {
		return 0, false
	}
	path := strings.ReplaceAll(r.Path, "{chatflow}", unknownChatflow())
	replies, err := send(e.Upstream, nil, probe{header: r.AllMethods()[0] + " " + e.Upstream.Path + path + " HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n", body: "{}"})
	if err != nil || replies[0].status == 0 || replies[0].code != "" {
		return 0, false
	}
	return replies[0].status, true
}

// flowiseTimeout is how long Flowise may take for one page of its chatflows.
const flowiseTimeout = 10 * time.Second

// flowiseKeys asks Flowise which of its chatflows have a key there.
func (e *examination) flowiseKeys() {
	if _, reached := get(e.Upstream, nil, e.target.alive); !reached {
		return
	}
	list, err := flowise.Chatflows(context.Background(), flowise.Options{
		URL: e.Upstream.String(), Credential: flowise.Credential{APIKey: e.UpstreamAPI}, Timeout: flowiseTimeout,
	})
	switch {
	case err != nil && e.UpstreamAPI != "":
		e.add(upstreamKeysCheck, Fault, "--upstream-api: %v", err)
		return
	case err != nil:
		e.add(upstreamKeysCheck, NotChecked, "Flowise does not tell without a credential which chatflows still have a key there; name a file with one of its API keys: --upstream-api file:PATH")
		return
	}
	found := 0
	for _, f := range list {
		if f.KeyID == "" || !e.sendsNothing(f.ID) {
			continue
		}
		if found++; found <= maxListed {
			e.add(upstreamKeysCheck, Look, "chatflow %s (%q) still has a key in Flowise, and the gate sends none: clients get Flowise's 500; %s", f.ID, f.Name, setUpstreamKey)
		}
	}
	if more := found - maxListed; more > 0 {
		e.add(upstreamKeysCheck, Look, "and %d more", more)
	}
	if found == 0 {
		e.add(upstreamKeysCheck, OK, "chatflows of Flowise: %d; each that has a key there is closed at the gate, or gets that key", len(list))
	}
}

// sendsNothing reports whether the gate lets somebody use a chatflow but sends the upstream no key.
func (e *examination) sendsNothing(id string) bool {
	mode := ""
	if e.keys != nil {
		c, _ := e.keys.Chatflow(id)
		if c == nil || !c.Public && len(c.Keys()) == 0 {
			return false
		}
		mode = c.UpstreamAuthorization.String()
	}
	if mode == "" && e.status != nil {
		mode = e.status.Settings.UpstreamAuthorization
	}
	return mode == "" || mode == keystore.UpstreamAuthorization{Mode: keystore.UpstreamRemove}.String()
}
