package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

type checkCmd struct {
	config.Flags
	Strict bool `help:"Fail on warnings, too."`
	All    bool `help:"Print all faults and warnings, not only the first 20."`
}

func (checkCmd) Help() string {
	return `Reads the settings and the key file with the code that serve uses. The last line says whether serve would start with them.
Exit code 1 if anything is wrong; with --strict, also if there is a warning.

Examples:

  flowlatch check --keys ./keys.yaml
  flowlatch check --config /etc/flowlatch/flowlatch.yaml --strict`
}

// Run prints what would apply, or everything that is wrong.
func (cmd *checkCmd) Run(ctx *kong.Context, s streams) error {
	c, err := config.Resolve(ctx)
	var store *keystore.Store
	if c.Keys != "" { // otherwise Resolve has reported it
		var keysErr error
		store, keysErr = readKeys(c, s)
		err = errors.Join(err, keysErr)
	}
	if err == nil {
		_, err = proxy.New(c.Proxy)
	}
	var certificates *certificate.Store
	if err == nil {
		certificates, err = certificate.Open(c.Certificates, certificate.Options{})
	}
	if err != nil {
		fmt.Fprintln(s.err, firstLines(err.Error(), cmd.most()))
		return errors.New("not in order: serve would not start")
	}
	t := newTable(s.out)
	printSettings(t, c)
	printRoutes(t, c)
	fmt.Fprintln(t)
	now := time.Now()
	printFiles(t, store.Snapshot())
	printKeys(t, store.Snapshot(), now)
	fmt.Fprintln(t)
	printChatflows(t, store.Snapshot(), now)
	printLimits(t, store.Snapshot())
	_ = t.Flush() // fails only if the terminal is gone
	fmt.Fprintln(s.out)
	warned := warnings(c, store.Snapshot(), certificates)
	if len(warned) > 0 {
		fmt.Fprintln(s.err, firstLines(strings.Join(warned, "\n"), cmd.most()))
	}
	printDigests(s.err, store.Snapshot(), cmd.most())
	return cmd.verdict(s, store.Snapshot(), len(warned))
}

// most returns how many faults, and how many warnings, are printed.
func (cmd *checkCmd) most() int {
	if cmd.All {
		return math.MaxInt
	}
	return maxLines
}

// verdict prints a summary in one line. With --strict, if there are warnings, it returns the summary as an error
// instead.
func (cmd *checkCmd) verdict(s streams, keys *keystore.Snapshot, warned int) error {
	chatflows, every := len(keys.Chatflows()), ""
	if keys.Entry(keystore.EveryChatflow) != nil {
		chatflows, every = chatflows-1, ` and "*"`
	}
	found := fmt.Sprintf("%s, %s%s, %s", count(len(keys.Keys()), "key"), count(chatflows, "chatflow"), every, count(warned, "warning"))
	if cmd.Strict && warned > 0 {
		return fmt.Errorf("not in order by --strict: %s", found)
	}
	fmt.Fprintf(s.out, "in order: %s\n", found)
	return nil
}

// readKeys reads the key file once, as strictly as serve does when it starts. Unlike for serve, the file may be a pipe.
func readKeys(c *config.Config, s streams) (*keystore.Store, error) {
	o := keystore.Options{Require: c.KeysRequire, MayBeEmpty: c.AdminToken != "", Validate: func(keys *keystore.Snapshot) error {
		proxy.WarnOfShares(keys, c.LimitsReplicas.Count)
		proxy.CheckBrowser(keys, &c.Proxy)
		return errors.Join(proxy.CheckKeyFile(keys, c.Proxy.Preset), proxy.CheckSnapshot(keys, c.Proxy.Preset, c.Proxy.Routes))
	}}
	if isPipe(c.Keys) {
		var err error
		if o.Content, err = readInput(c.Keys, keystore.MaxFile, s); err != nil {
			return nil, keystore.ReadError(c.Keys, err)
		}
	}
	store, err := keystore.Open(c.Keys, o)
	return store, forConsole(c, err)
}

func printSettings(t *tabwriter.Writer, c *config.Config) {
	row(t, "SETTING", "VALUE", "FROM")
	for _, s := range c.Sources {
		row(t, s.Name, orDash(s.Value), s.Place)
	}
}

// printRoutes prints the routes of the settings file; those of the presets are in docs/routes.md.
func printRoutes(t *tabwriter.Writer, c *config.Config) {
	if len(c.FileRoutes) == 0 {
		return
	}
	fmt.Fprintln(t)
	row(t, "ROUTE", "METHODS", "GROUP", "CHATFLOW ID")
	for _, r := range c.FileRoutes {
		id := "lower-case UUID"
		if r.ID != nil {
			id = r.ID.String()
		}
		row(t, r.Path, strings.Join(r.Methods, ", "), r.Group, id)
	}
}

// printFiles prints the key files of a directory.
func printFiles(t *tabwriter.Writer, s *keystore.Snapshot) {
	if !s.IsDirectory() {
		return
	}
	row(t, "KEY FILE", "KEYS", "CHATFLOWS")
	for _, f := range s.Files() {
		row(t, filepath.Base(f.Path), strconv.Itoa(f.Keys), strconv.Itoa(f.Chatflows))
	}
	fmt.Fprintln(t)
}

func printKeys(t *tabwriter.Writer, s *keystore.Snapshot, now time.Time) {
	opens := labelsByKey(s)
	row(t, "KEY", "STATUS", "NOT BEFORE", "NOT AFTER", "SECRETS", "OPENS")
	for _, k := range s.Keys() {
		row(t, k.ID, k.Validity(now).String(), when(k.NotBefore()), when(k.NotAfter()), secretsOf(k, now), few(opens[k.ID]))
	}
}

// secretsOf shows a key's secrets by their fingerprints. If there are several, it says until when each is valid, and
// shows expired ones last.
func secretsOf(k *keystore.Key, now time.Time) string {
	var shown, expired []string
	for _, s := range k.Secrets() {
		text := s.Fingerprint()
		switch end := s.NotAfter(); {
		case len(k.Secrets()) == 1 || end.IsZero():
			shown = append(shown, text)
		case end.After(now):
			shown = append(shown, text+" until "+when(end))
		default:
			expired = append(expired, text+" expired")
		}
	}
	return few(append(shown, expired...))
}

func printChatflows(t *tabwriter.Writer, s *keystore.Snapshot, now time.Time) {
	row(t, "CHATFLOW", "NAME", "OPEN TO", "UPSTREAM AUTHORIZATION", "BODY")
	for _, c := range s.Chatflows() {
		var who, others []string // others cannot call now
		for _, k := range c.Keys() {
			if v := k.Validity(now); v == keystore.Valid {
				who = append(who, k.ID)
			} else {
				others = append(others, k.ID+" ("+v.String()+")")
			}
		}
		open := few(append(who, others...))
		if c.Public {
			open = "everybody (public)"
		}
		row(t, c.ID, orDash(c.Name), open, cmp.Or(c.UpstreamAuthorization.String(), "as set"), describeBody(c.Body))
	}
}

// printLimits prints the limits of keys and chatflows, if there are any.
func printLimits(t *tabwriter.Writer, s *keystore.Snapshot) {
	var rows [][]string
	add := func(whose, limits string) { rows = append(rows, []string{whose, limits}) }
	for _, k := range s.Keys() {
		if !k.Limits.Empty() {
			add("key "+k.ID, k.Limits.String())
		}
		if len(k.From) > 0 {
			add("key "+k.ID, fmt.Sprintf("from %v", k.From))
		}
		if len(k.Groups) > 0 {
			add("key "+k.ID, "groups "+strings.Join(k.Groups, ", "))
		}
		if k.Browser != nil {
			add("browser tokens of key "+k.ID, k.Browser.String())
		}
	}
	for _, c := range s.Chatflows() {
		if !c.Limits.Empty() {
			add("chatflow "+c.Label(), c.Limits.String())
		}
		if !c.ClientLimits.Empty() {
			add("chatflow "+c.Label(), c.ClientLimits.String()+", for each client address")
		}
		if c.AbortOnDisconnect {
			add("chatflow "+c.Label(), "requests whose client leaves are ended")
		}
	}
	if rows == nil {
		return
	}
	fmt.Fprintln(t)
	row(t, "LIMITS OF", "LIMITS")
	for _, r := range rows {
		row(t, r...)
	}
}

func describeBody(b keystore.BodyPolicy) string {
	switch {
	case len(b.Deny) > 0:
		return "JSON without " + strings.Join(b.Deny, ", ")
	case b.JSONOnly:
		return "JSON"
	}
	return "any"
}

// warnings returns warnings about what is valid but may not be intended.
func warnings(c *config.Config, s *keystore.Snapshot, certificates *certificate.Store) (texts []string) {
	for _, text := range secretsReadByEveryone(c) {
		texts = append(texts, "warning: "+text)
	}
	for _, c := range certificates.Status() {
		if time.Until(c.NotAfter) < admin.ExpiresSoon {
			texts = append(texts, fmt.Sprintf("warning: the certificate %q, for %s, expires at %s", c.Name, few(c.Names), when(c.NotAfter)))
		}
	}
	for _, text := range s.Warnings {
		texts = append(texts, "warning: "+text)
	}
	return texts
}

// printDigests prints the digests to replace plain-text secrets with, for at most the given number of secrets.
func printDigests(w io.Writer, s *keystore.Snapshot, most int) {
	printed := 0
	for _, k := range s.Keys() {
		for _, secret := range k.Secrets() {
			if secret.Plain && printed < most {
				printed++
				fmt.Fprintf(w, "to replace the secret of key %q: `sha256: %s`\n", k.ID, secret.Digest)
			}
		}
	}
}
