package doctor

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/proxy/admin"
)

// adminListener looks whether others can reach the admin listener, and at what it says of keys and certificates.
func (e *examination) adminListener() {
	e.adminAddresses()
	const check = "active keys"
	status, err := Status(e.Admin)
	switch {
	case errors.Is(err, errNotAdmin):
		e.add(check, Look, "%v", err)
		return
	case err != nil:
		e.add(check, NotChecked, "the admin listener does not answer at %s (%v); name it with --admin to have the active keys checked", e.Admin, err)
		return
	}
	if status.Preset != "" && status.Preset != e.Preset.Name {
		e.add("preset", Open, "the gate runs with preset %s, and was examined as one in front of another upstream; ask again with --preset %s, or start the gate with the preset of its upstream", status.Preset, status.Preset)
	}
	for _, c := range status.Certificates {
		e.certificate(c)
	}
	if status.Stale {
		e.add(check, Open, "the key file is invalid, and older keys stay active, of which some may be revoked: %s", status.Fault)
		return
	}
	e.add(check, OK, "%d keys and %d chatflows, generation %d", len(status.Keys), len(status.Chatflows), status.Generation)
}

// adminAddresses looks where the admin listener answers.
func (e *examination) adminAddresses() {
	const check = "admin listener"
	_, port, _ := net.SplitHostPort(e.Admin)
	places := ownAddresses()
	if host := e.URL.Hostname(); !isLoopback(host) {
		places = append(places, host)
	}
	reachable := false
	for _, host := range places {
		if at := net.JoinHostPort(host, port); isAdmin(at) {
			reachable = true
			e.add(check, Open, "it answers at %s, which others can reach, and asks for no key: it shows key IDs and reloads on request; set --admin 127.0.0.1:%s, or let only your monitoring reach it", at, port)
		}
	}
	switch {
	case reachable:
	case !isAdmin(e.Admin):
		e.add(check, NotChecked, "none answers at %s; run this on the gate's machine, or name it with --admin", e.Admin)
	case len(places) > 0:
		e.add(check, OK, "it answers at %s and not at %s", e.Admin, strings.Join(places, ", "))
	default:
		e.add(check, OK, "it answers at %s; this machine has no other address to try", e.Admin)
	}
}

// isAdmin reports whether an admin listener answers at an address.
func isAdmin(addr string) bool {
	r, ok := get(&url.URL{Scheme: "http", Host: addr}, "/livez")
	return ok && r.status == http.StatusOK && strings.TrimSpace(r.text) == "ok"
}

// certificate looks at a certificate that the gate uses.
func (e *examination) certificate(c admin.CertificateStatus) {
	check, end := "certificate "+string(c.Certificate), c.NotAfter.Format(time.RFC3339)
	switch left := c.NotAfter.Sub(e.now); {
	case c.Stale:
		e.add(check, Look, "its files are invalid, and an older one stays active until %s: %s", end, c.Fault)
	case left <= 0:
		e.add(check, Look, "it expired at %s: whoever checks it refuses it; put a new one in its files", end)
	case left < ExpiresSoon:
		e.add(check, Look, "it expires at %s; put a new one in its files, which are read again when they change", end)
	default:
		e.add(check, OK, "for %s, until %s", few(c.Names), end)
	}
}
