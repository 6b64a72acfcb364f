package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

type doctorCmd struct {
	URL        string `required:"" placeholder:"URL" help:"Where callers reach the gate, from where this runs."`
	KeyFile    string `name:"key-file" placeholder:"FILE" help:"The gate's key file; without it, its keys are not looked at."`
	Upstream   string `placeholder:"URL" help:"The runner; without it, ways around the gate are not looked for."`
	ClientCert string `placeholder:"FILE" help:"PEM file of the certificate to show to a gate that asks for one. With --client-key."`
	ClientKey  string `placeholder:"FILE" help:"PEM file of the key of --client-cert."`
	Preset     string `env:"FLOWLATCH_PRESET" default:"flowise" help:"Which runner stands behind the gate: flowise, langflow or n8n."`
	Admin      string `default:"127.0.0.1:9901" placeholder:"HOST:PORT" help:"The gate's admin listener."`
}

// Help is shown below the usage.
func (doctorCmd) Help() string {
	return `Fires some 130 harmless requests at a running gate, none with a valid key, and looks at what is around it. They name a
chatflow that there is not, so nothing runs even where the gate has a hole; they do show in the gate's log and metrics.
Run it from where an attacker would be: what it says of ways around the gate holds for the machine that it runs on.

Exit code 0 if nothing is open, 1 if something is, or if the gate cannot be reached.

Examples:

  flowlatch doctor --url http://127.0.0.1:8080 --key-file ./keys.yaml --upstream http://127.0.0.1:3000
  flowlatch doctor --url https://flows.example.com
  flowlatch doctor --url http://127.0.0.1:8080 --preset n8n --upstream http://127.0.0.1:5678
  flowlatch doctor --url https://flows.example.com --client-cert caller.crt --client-key caller.key`
}

// result is how a check ended.
type result string

const (
	isFine     result = "ok"
	isOdd      result = "look" // at it: an operator may have meant it
	isOpen     result = "OPEN"
	notChecked result = "-"
)

// examination collects what was found.
type examination struct {
	target *target
	rows   [][3]string
	open   bool
	own    []tls.Certificate // to show to the gate
}

func (e *examination) add(check string, r result, format string, args ...any) {
	e.rows = append(e.rows, [3]string{check, string(r), fmt.Sprintf(format, args...)})
	e.open = e.open || r == isOpen
}

// Run examines the gate and prints a table.
func (cmd *doctorCmd) Run(s streams) error {
	gate, err := config.URL(cmd.URL)
	if err != nil {
		return usageError{fmt.Errorf("--url: %w", err)}
	}
	var runner *url.URL
	if cmd.Upstream != "" {
		if runner, err = config.URL(cmd.Upstream); err != nil {
			return usageError{fmt.Errorf("--upstream: %w", err)}
		}
	}
	if _, err := config.Address(cmd.Admin); err != nil {
		return usageError{fmt.Errorf("--admin: %w", err)}
	}
	target, err := targetOf(cmd.Preset)
	if err != nil {
		return usageError{fmt.Errorf("--preset: %w", err)}
	}
	e := &examination{target: target}
	if (cmd.ClientCert == "") != (cmd.ClientKey == "") {
		return usageError{errors.New("--client-cert and --client-key: a certificate and its key come together; name both")}
	}
	if cmd.ClientCert != "" {
		if err := certificate.CheckPair(cmd.ClientCert, cmd.ClientKey); err != nil {
			return usageError{fmt.Errorf("--client-cert and --client-key: %w", err)}
		}
		own, err := tls.LoadX509KeyPair(cmd.ClientCert, cmd.ClientKey)
		if err != nil {
			return fmt.Errorf("--client-cert: %w", err)
		}
		e.own = []tls.Certificate{own}
	}
	if err := e.spellings(gate); err != nil {
		return fmt.Errorf("--url %s: %w; is the gate running, and is it there?", cmd.URL, err)
	}
	e.around(runner)
	e.admin(gate, cmd.Admin, cmd.Preset)
	e.keys(cmd.KeyFile, time.Now())
	e.print(s.out)
	if e.open {
		return errRefused
	}
	return nil
}

// spellings fires the probes.
func (e *examination) spellings(gate *url.URL) error {
	first, err := fireAs(e.own, gate, probe{raw: "POST " + gate.Path + strings.ReplaceAll(e.target.call(), nobody, randomUUID()) + " HTTP/1.1\r\nContent-Length: 0\r\n"})
	if err != nil {
		return err
	}
	switch {
	case first[0].code == string(problem.Draining):
		return errors.New("the gate is shutting down")
	case first[0].code == "":
		e.add("gate", isOpen, "%s is not answered by flowlatch (%v): callers go around it; publish the gate's port there and nothing else", gate, first[0])
	default:
		e.add("gate", isFine, "flowlatch answers at %s", gate)
	}
	var got, strange []string
	by := map[verdict]int{}
	list := e.target.probes(gate.Path, randomUUID())
	for _, p := range list {
		replies, err := fireAs(e.own, gate, p)
		if err != nil {
			return fmt.Errorf("after %d requests: %w", by[refused]+by[before]+by[odd]+by[through], err)
		}
		worst := refused
		for _, r := range replies {
			if v := r.verdict(e.target); v > worst {
				worst = v
			}
			if r.verdict(e.target) == through {
				got = append(got, fmt.Sprintf("%s: %v", p.name, r))
				break
			}
			if r.verdict(e.target) == odd {
				strange = append(strange, fmt.Sprintf("%s: %v", p.name, r))
			}
		}
		by[worst]++
	}
	if by[odd] > 0 {
		e.add("spellings", isOdd, "%d of %d requests were answered by something that is not flowlatch, such as %s; see that it does not lead to the runner", by[odd], len(list), strange[0])
	}
	if len(got) > 0 {
		e.add("spellings", isOpen, "%d of %d requests that no gate may let through were; let nothing but flowlatch reach the runner, and nothing before it rewrite paths", len(got), len(list))
		for i, g := range got {
			if i == maxLogged {
				e.add("spellings", isOpen, "and %d more", len(got)-i)
				break
			}
			e.add("spellings", isOpen, "%s", g)
		}
		return nil
	}
	e.add("spellings", isFine, "none of %d requests got through: the gate refused %d, an HTTP server that did not understand them %d, something else answered %d", len(list), by[refused], by[before], by[odd])
	return nil
}

// around looks for ways to the runner that do not lead through the gate.
func (e *examination) around(runner *url.URL) {
	const check = "around the gate"
	if runner == nil {
		e.add(check, notChecked, "name the runner by --upstream to have this checked")
		return
	}
	ip := net.ParseIP(runner.Hostname())
	loopback := runner.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	answers := func(u *url.URL) (reply, bool) {
		replies, err := fire(u, probe{raw: "GET " + u.Path + e.target.alive + " HTTP/1.1\r\n"})
		if err != nil || replies[0].status == 0 {
			return reply{}, false
		}
		return replies[0], true
	}
	r, reached := answers(runner)
	switch {
	case reached && r.code != "":
		e.add(check, isFine, "%s is answered by flowlatch itself", runner)
	case reached && !loopback:
		e.add(check, isOpen, "%s answers here (%v), without the gate; let it listen on 127.0.0.1 alone (%s), publish no port of it, or close it by a network policy", runner, r, e.target.alone)
	case reached:
		e.add(check, isOdd, "%s answers on this machine: every program here can call the runner without the gate; keep others off the machine or pod", runner)
	default:
		e.add(check, isFine, "%s cannot be reached from here", runner)
	}
	if !loopback {
		return
	}
	for _, addr := range ownAddresses() {
		other := *runner
		other.Host = net.JoinHostPort(addr, portOf(runner))
		if r, reached := answers(&other); reached && r.code == "" {
			e.add(check, isOpen, "the runner answers at %s too (%v), which others can reach; let it listen on 127.0.0.1 alone (%s)", other.Host, r, e.target.alone)
		}
	}
}

// admin looks at the admin listener: whether others can reach it, and what it says of the keys.
func (e *examination) admin(gate *url.URL, addr, preset string) {
	const check = "admin listener"
	_, port, _ := net.SplitHostPort(addr)
	places := ownAddresses()
	if ip := net.ParseIP(gate.Hostname()); gate.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		places = append(places, gate.Hostname())
	}
	outside, answers := false, isAdmin(addr)
	for _, host := range places {
		if at := net.JoinHostPort(host, port); isAdmin(at) {
			outside = true
			e.add(check, isOpen, "it answers at %s, which others can reach, and asks for no key: it shows key IDs and takes orders to reload; set --admin 127.0.0.1:%s, or let only your monitoring reach it", at, port)
		}
	}
	switch {
	case outside:
	case answers && len(places) > 0:
		e.add(check, isFine, "it answers at %s and not at %s", addr, strings.Join(places, ", "))
	case answers:
		e.add(check, isFine, "it answers at %s; this machine has no other address to try", addr)
	default:
		e.add(check, notChecked, "none answers at %s; run this on the gate's machine, or name it by --admin", addr)
	}
	raw, err := askAdmin(addr, "/status")
	if err != nil {
		e.add("keys in force", notChecked, "the admin listener does not answer at %s (%v); name it by --admin to have the keys in force checked", addr, err)
		return
	}
	var status admin.Status
	if err := json.Unmarshal(raw, &status); err != nil || status.Generation == 0 {
		e.add("keys in force", isOdd, "what answers at %s is no admin listener of flowlatch", addr)
		return
	}
	if status.Preset != "" && status.Preset != preset {
		e.add("preset", isOpen, "the gate runs with preset %s, and it was examined as one before another runner; ask again with --preset %s, or start the gate with the preset of its runner", status.Preset, status.Preset)
	}
	e.certificates(status.Certificates, time.Now())
	if status.Stale {
		e.add("keys in force", isOpen, "the key file has a fault, and an older one is in force, with keys that may be revoked: %s", status.Fault)
		return
	}
	e.add("keys in force", isFine, "%d keys and %d chatflows, generation %d", len(status.Keys), len(status.Chatflows), status.Generation)
}

// isAdmin reports whether an admin listener answers at an address.
func isAdmin(addr string) bool {
	replies, err := fire(&url.URL{Scheme: "http", Host: addr}, probe{raw: "GET /livez HTTP/1.1\r\n"})
	return err == nil && replies[0].status == http.StatusOK && strings.TrimSpace(replies[0].text) == "ok"
}

// expiresSoon is how long before its end a key is worth a word.
const expiresSoon = 14 * 24 * time.Hour

// keys looks at the key file.
func (e *examination) keys(path string, now time.Time) {
	const check = "key file"
	if path == "" {
		e.add(check, notChecked, "name it by --key-file to have it checked")
		return
	}
	store, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		e.add(check, isOpen, "it has a fault, so that the gate would not start with it: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	s := store.Snapshot()
	e.add(check, isFine, "%d keys, %d chatflows", len(s.Keys()), len(s.Chatflows()))
	opens := map[string]bool{}
	for _, c := range s.Chatflows() {
		for _, k := range c.Keys() {
			opens[k.ID] = true
		}
		switch {
		case c.Public:
			e.add(check, isOdd, "chatflow %s asks for no key (line %d: public); anybody can use it and spend on its model", c.Label(), c.Line)
		case c.ID == keystore.EveryChatflow:
			e.add(check, isOdd, `%s open every chatflow, also those made tomorrow (line %d: "*")`, keyNames(c.Keys()), c.Line)
		}
	}
	plain := 0
	for _, k := range s.Keys() {
		for _, secret := range k.Secrets() {
			if secret.Plain {
				plain++
				break
			}
		}
		end := k.NotAfter()
		switch v := k.Validity(now); {
		case !opens[k.ID]:
			e.add(check, isOdd, "key %s opens no chatflow (line %d); list it under one, or take it out", k.ID, k.Line)
		case v == keystore.Valid && !end.IsZero() && end.Before(now.Add(expiresSoon)):
			e.add(check, isOdd, "key %s ends at %s; `flowlatch key rotate --id %s` makes its next secret", k.ID, when(end), k.ID)
		case v == keystore.Expired:
			e.add(check, isOdd, "key %s ended at %s; take it out if nobody needs it (line %d)", k.ID, when(end), k.Line)
		}
	}
	if plain > 0 {
		f, who := isOdd, ""
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o044 != 0 {
			f, who = isOpen, fmt.Sprintf(", and others than its owner can read it (mode %04o; chmod 600)", info.Mode().Perm())
		}
		e.add(check, f, "%d keys stand in plain text in it%s; `flowlatch check` shows the digest to put in the place of each", plain, who)
	}
}

func keyNames(keys []*keystore.Key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.ID
	}
	return "keys " + shorten(names)
}

// print writes the table: what is open first, for whoever reads no further.
func (e *examination) print(w io.Writer) {
	table(w, func(row func(...string)) {
		row("CHECK", "RESULT", "WHAT WAS FOUND")
		for _, f := range []result{isOpen, isOdd, isFine, notChecked} {
			for _, r := range e.rows {
				if r[1] == string(f) {
					row(r[:]...)
				}
			}
		}
	})
}

// ownAddresses are the addresses under which others may reach this machine.
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

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return strconv.Itoa(443)
	}
	return strconv.Itoa(80)
}

// randomUUID returns the ID of a chatflow that there is not.
func randomUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
