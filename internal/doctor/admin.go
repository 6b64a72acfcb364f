package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
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
	e.add(check, OK, "keys: %d, chatflows: %d, generation: %d", status.KeyCounts.Total, status.ChatflowCounts.Total, status.Generation)
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
	body, err := Ask(addr, "/livez")
	return err == nil && string(body) == "ok\n"
}

// certificate looks at a certificate that the gate uses.
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

// adminTimeout is how long an admin listener may take to respond.
const adminTimeout = 3 * time.Second

// errNotAdmin says that something else answers where an admin listener should.
var errNotAdmin = errors.New("what answers is not an admin listener of flowlatch")

// ErrNoGate says that nothing listens where an admin listener should. All other errors leave open whether a gate runs.
var ErrNoGate = errors.New("nothing listens")

// Status asks the admin listener at an address for the gate's status, with one key and one chatflow: a gate may have so many
// that it could not send all of them in time.
func Status(addr string) (status admin.Status, err error) {
	body, err := Ask(addr, "/status?limit=1")
	if err == nil && (json.Unmarshal(body, &status) != nil || status.Generation == 0) {
		err = fmt.Errorf("%s: %w", addr, errNotAdmin)
	}
	return status, err
}

// Key asks the admin listener at an address for the state of one key, which is nil if the gate does not have it.
func Key(addr, id string) (*admin.KeyStatus, error) {
	body, err := Ask(addr, "/status?key="+url.QueryEscape(id))
	var one admin.OneKey
	if err == nil && (json.Unmarshal(body, &one) != nil || one.Generation == 0) {
		err = fmt.Errorf("%s: %w", addr, errNotAdmin)
	}
	return one.Key, err
}

// Ask gets a path from the admin listener at an address. A status other than 200 is an error with the text of the
// response.
func Ask(addr, path string) ([]byte, error) {
	host, port, _ := net.SplitHostPort(addr)
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1" // where a listener on every address is reached
	}
	at := net.JoinHostPort(host, port)
	client := &http.Client{Timeout: adminTimeout, Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy from the environment
	res, err := client.Get("http://" + at + path)
	if err != nil {
		return nil, noResponse(at, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, noResponse(at, err)
	}
	if res.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	return body, err
}

// noResponse says why there is no response from an address.
func noResponse(at string, err error) error {
	var asked *url.Error
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s", ErrNoGate, at)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no response from %s within %s", at, adminTimeout)
	case errors.As(err, &asked):
		err = asked.Err // without the URL
	}
	return fmt.Errorf("asking %s: %w", at, err)
}
