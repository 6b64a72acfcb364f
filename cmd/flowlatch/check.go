package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

type checkCmd struct{ config.Flags }

// Help is shown below the usage.
func (checkCmd) Help() string {
	return `Reads the settings and the key file with the code that serve uses. Exit code 1 if anything is wrong.

Examples:

  flowlatch check --keys ./keys.yaml
  flowlatch check --config /etc/flowlatch/flowlatch.yaml`
}

// Run prints what would be in force, or everything that is wrong.
func (cmd *checkCmd) Run(ctx *kong.Context, s streams) error {
	c, settingsErr := config.Resolve(ctx)
	snapshot, err := loadSnapshot(c)
	if err := errors.Join(settingsErr, err); err != nil {
		return fmt.Errorf("not in order:\n%w", err)
	}
	if _, err := proxy.New(c.Proxy); err != nil {
		return fmt.Errorf("not in order:\n%w", err)
	}
	certificates, err := certificate.Open(c.Certificates, certificate.Options{})
	if err != nil {
		return fmt.Errorf("not in order:\n%w", err)
	}
	for _, st := range certificates.Status() {
		if time.Until(st.NotAfter) < doctor.ExpiresSoon {
			fmt.Fprintf(s.err, "warning: the certificate %q, for %s, ends at %s\n", st.Name, shorten(st.Names), when(st.NotAfter))
		}
	}
	printSettings(s.out, c)
	printRoutes(s.out, c)
	fmt.Fprintln(s.out)
	printKeys(s.out, snapshot, time.Now())
	fmt.Fprintln(s.out)
	printChatflows(s.out, snapshot)
	for _, w := range snapshot.Warnings {
		fmt.Fprintln(s.err, "warning:", w)
	}
	for _, k := range snapshot.Keys() {
		for _, secret := range k.Secrets() {
			if secret.Plain {
				fmt.Fprintf(s.err, "in the place of the secret of key %q: `sha256: %s`\n", k.ID, secret.Digest)
			}
		}
	}
	return nil
}

// readKeys reads the key file once, as serve does at its start.
func readKeys(c *config.Config) (*keystore.Store, error) {
	return keystore.Open(c.Keys, keystore.Options{Validate: func(s *keystore.Snapshot) error {
		return errors.Join(proxy.CheckKeyFile(s, c.Proxy.Preset), proxy.CheckSnapshot(s, c.Proxy.Preset, c.Proxy.Routes))
	}})
}

// loadSnapshot returns what the key file holds.
func loadSnapshot(c *config.Config) (*keystore.Snapshot, error) {
	if c.Keys == "" {
		return nil, nil //nolint:nilnil // resolve has reported it
	}
	store, err := readKeys(c)
	if err != nil {
		return nil, err
	}
	return store.Snapshot(), nil
}

func table(w io.Writer, rows func(row func(cells ...string))) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows(func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) })
	_ = t.Flush() // to a writer that does not fail or a terminal that is gone
}

func printSettings(w io.Writer, c *config.Config) {
	table(w, func(row func(...string)) {
		row("SETTING", "VALUE", "FROM")
		for _, s := range c.Sources {
			value := s.Value
			if value == "" {
				value = "-"
			}
			row(s.Name, value, s.Place)
		}
	})
}

// printRoutes prints the routes of the settings file; those of the preset are in the README.
func printRoutes(w io.Writer, c *config.Config) {
	if len(c.FileRoutes) == 0 {
		return
	}
	fmt.Fprintln(w)
	table(w, func(row func(...string)) {
		row("ROUTE", "METHODS", "GROUP", "CHATFLOW ID")
		for _, r := range c.FileRoutes {
			id := "lower-case UUID"
			if r.ID != nil {
				id = r.ID.String()
			}
			row(r.Path, strings.Join(r.Methods, ", "), r.Group, id)
		}
	})
}

func printKeys(w io.Writer, s *keystore.Snapshot, now time.Time) {
	opens := map[string][]string{}
	for _, c := range s.Chatflows() {
		for _, k := range c.Keys() {
			opens[k.ID] = append(opens[k.ID], c.Label())
		}
	}
	table(w, func(row func(...string)) {
		row("KEY", "STATUS", "NOT BEFORE", "NOT AFTER", "SECRETS", "OPENS")
		for _, k := range s.Keys() {
			row(k.ID, k.Validity(now).String(), when(k.NotBefore()), when(k.NotAfter()), fmt.Sprint(len(k.Secrets())), shorten(opens[k.ID]))
		}
	})
}

func printChatflows(w io.Writer, s *keystore.Snapshot) {
	table(w, func(row func(...string)) {
		row("CHATFLOW", "NAME", "OPEN TO", "UPSTREAM AUTHORIZATION", "BODY")
		for _, c := range s.Chatflows() {
			var who []string
			for _, k := range c.Keys() {
				who = append(who, k.ID)
			}
			open := shorten(who)
			if c.Public {
				open = "everybody (public)"
			}
			name, authorization := c.Name, c.UpstreamAuthorization.String()
			if name == "" {
				name = "-"
			}
			if authorization == "" {
				authorization = "as set"
			}
			row(c.ID, name, open, authorization, describeBody(c.Body))
		}
	})
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

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

func shorten(ids []string) string {
	const most = 6
	switch n := len(ids); {
	case n == 0:
		return "-"
	case n > most:
		return strings.Join(ids[:most], ", ") + fmt.Sprintf(" and %d more", n-most)
	}
	return strings.Join(ids, ", ")
}

type explainCmd struct {
	Method string `arg:"" help:"The request's method."`
	URL    string `arg:"" help:"The request's URL or path, spelled as it would be sent."`
	KeyID  string `name:"key-id" placeholder:"ID" help:"Ask on behalf of this key; without it, of a caller without a key."`
	Data   string `placeholder:"JSON" help:"The request's body, for routes that name the chatflow there. @FILE reads it from a file."`
	config.Flags
}

// Help is shown below the usage.
func (explainCmd) Help() string {
	return `Nothing is sent anywhere. Exit code 0 if the request would pass, 1 if not.

Examples:

  flowlatch explain POST /api/v1/prediction/3f1c2a9e-1111-4222-8333-444455556666 --key-id acme-web --keys ./keys.yaml
  flowlatch explain GET http://localhost:8080/api/v1/chatflows --keys ./keys.yaml`
}

// Run prints what would become of the request.
func (cmd *explainCmd) Run(ctx *kong.Context, s streams) error {
	c, err := resolve(ctx)
	if err != nil {
		return err
	}
	store, err := readKeys(c)
	if err != nil {
		return err
	}
	var key *keystore.Key
	if cmd.KeyID != "" {
		if key = store.Snapshot().Key(cmd.KeyID); key == nil {
			return usageError{fmt.Errorf("--key-id %s: %s has no such key; `flowlatch key list` shows those there are", cmd.KeyID, c.Keys)}
		}
	}
	body := []byte(cmd.Data)
	if path, ok := strings.CutPrefix(cmd.Data, "@"); ok {
		if body, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	options := c.Proxy
	options.Store = store
	gate, err := proxy.New(options)
	if err != nil {
		return err
	}
	e := gate.Explain(cmd.Method, requestTarget(cmd.URL), body, key)
	table(s.out, func(row func(...string)) {
		for _, line := range e.Lines {
			row(line[0], line[1])
		}
	})
	if !e.Allowed {
		return errRefused
	}
	return nil
}

// requestTarget returns what a client sends in the request line for a URL: all after scheme and
// host, and nothing of it changed, since how it is spelled is what the answer depends on.
func requestTarget(u string) string {
	for _, scheme := range []string{"http://", "https://"} {
		if len(u) >= len(scheme) && strings.EqualFold(u[:len(scheme)], scheme) {
			rest := u[len(scheme):]
			i := strings.IndexAny(rest, "/?")
			switch {
			case i < 0:
				return "/"
			case rest[i] == '?':
				return "/" + rest[i:]
			}
			return rest[i:]
		}
	}
	return u
}
