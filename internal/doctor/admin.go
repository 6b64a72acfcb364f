package doctor

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/proxy/admin"
)

// adminListener checks whether others can reach the admin listener, and what it says about keys and certificates.
func (e *examination) adminListener() {
	e.adminAddresses()
	if e.status == nil {
		return // sameGate has said why
	}
	s := e.status
	if s.Preset != "" && s.Preset != e.Preset.Name {
		e.add("preset", Fault, "the gate runs with preset %s, and was examined as one in front of another upstream; ask again with --preset %s, or start the gate with the preset of its upstream", s.Preset, s.Preset)
	}
	for _, c := range s.Certificates {
		e.certificate(c)
	}
	const check = "active keys"
	if s.Stale {
		e.add(check, Open, "the key file is invalid, and older keys stay active, of which some may be revoked: %s", s.Fault)
	} else {
		e.add(check, OK, "%s, generation: %d", contents(s.KeyCounts.Total, s.ChatflowCounts.Total, s.ChatflowCounts.Every), s.Generation)
	}
	if e.keysProven {
		return // keyFile reports the same, with line numbers
	}
	for _, label := range s.PublicChatflows {
		e.add(check, Look, "chatflow %s asks for no key (public); anyone can use it and spend on its model", label)
	}
	if more := s.ChatflowCounts.Public - len(s.PublicChatflows); more > 0 {
		e.add(check, Look, "and public chatflows more: %d", more)
	}
	if n := s.ChatflowCounts.EveryOpenTo; n > 0 {
		e.add(check, Look, `keys that open every chatflow, also those made tomorrow ("*"): %d`, n)
	}
}

// contents says what a key file has in it. every says that one of its entries is "*", which is not a chatflow.
func contents(keys, entries int, every bool) string {
	if !every {
		return fmt.Sprintf("keys: %d, chatflows: %d", keys, entries)
	}
	return fmt.Sprintf(`keys: %d, chatflows: %d and "*"`, keys, entries-1)
}

// adminAddresses checks at which addresses the admin listener answers.
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
	case e.adminErr != nil:
		e.add(check, NotChecked, "none answers at %s; run this on the gate's machine, or name it with --admin", e.Admin)
	case len(places) > 0:
		e.add(check, OK, "it answers at %s and not at %s", e.Admin, strings.Join(places, ", "))
	default:
		e.add(check, OK, "it answers at %s; this machine has no other address to try", e.Admin)
	}
}

// isAdmin reports whether an admin listener answers at an address.
func isAdmin(addr string) bool {
	body, err := Ask(addr, "/livez")
	return err == nil && string(body) == "ok\n"
}

// certificate checks a certificate that the gate uses.
func (e *examination) certificate(c admin.CertificateStatus) {
	check, end := "certificate "+string(c.Certificate), c.NotAfter.Format(time.RFC3339)
	switch left := c.NotAfter.Sub(e.now); {
	case c.Stale:
		e.add(check, Look, "its files are invalid, and an older one stays active until %s: %s", end, c.Fault)
	case left <= 0:
		e.add(check, Look, "it expired at %s: whoever checks it refuses it; put a new one in its files", end)
	case left < admin.ExpiresSoon:
		e.add(check, Look, "it expires at %s; put a new one in its files, which are read again when they change", end)
	default:
		e.add(check, OK, "for %s, until %s", strings.Join(c.Names, ", "), end)
	}
}
