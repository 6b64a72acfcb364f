package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
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

type checkCmd struct{ config.Flags }

func (checkCmd) Help() string {
	return `Reads the settings and the key file with the code that serve uses. Exit code 1 if anything is wrong.

Examples:

  flowlatch check --keys ./keys.yaml
  flowlatch check --config /etc/flowlatch/flowlatch.yaml`
}

// Run prints what would apply, or everything that is wrong.
func (cmd *checkCmd) Run(ctx *kong.Context, s streams) error {
	c, err := config.Resolve(ctx)
	var store *keystore.Store
	if c.Keys != "" { // otherwise Resolve has reported it
		var keysErr error
		store, keysErr = readKeys(c)
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
		return fmt.Errorf("not in order:\n%w", err)
	}
	t := newTable(s.out)
	printSettings(t, c)
	printRoutes(t, c)
	fmt.Fprintln(t)
	printKeys(t, store.Snapshot(), time.Now())
	fmt.Fprintln(t)
	printChatflows(t, store.Snapshot())
	_ = t.Flush() // to a writer that does not fail or a terminal that is gone
	printWarnings(s.err, store.Snapshot(), certificates)
	return nil
}

// readKeys reads the key file once, as strictly as serve does at the start. Unlike serve's, it may be a pipe.
func readKeys(c *config.Config) (*keystore.Store, error) {
	o := keystore.Options{Validate: func(s *keystore.Snapshot) error {
		return errors.Join(proxy.CheckKeyFile(s, c.Proxy.Preset), proxy.CheckSnapshot(s, c.Proxy.Preset, c.Proxy.Routes))
	}}
	if isPipe(c.Keys) {
		var err error
		if o.Content, err = readInput(c.Keys, keystore.MaxFile); err != nil {
			return nil, keystore.ReadError(c.Keys, err)
		}
	}
	return keystore.Open(c.Keys, o)
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

func printKeys(t *tabwriter.Writer, s *keystore.Snapshot, now time.Time) {
	opens := map[string][]string{}
	for _, c := range s.Chatflows() {
		for _, k := range c.Keys() {
			opens[k.ID] = append(opens[k.ID], c.Label())
		}
	}
	row(t, "KEY", "STATUS", "NOT BEFORE", "NOT AFTER", "SECRETS", "OPENS")
	for _, k := range s.Keys() {
		row(t, k.ID, k.Validity(now).String(), when(k.NotBefore()), when(k.NotAfter()), fmt.Sprint(len(k.Secrets())), few(opens[k.ID]))
	}
}

func printChatflows(t *tabwriter.Writer, s *keystore.Snapshot) {
	row(t, "CHATFLOW", "NAME", "OPEN TO", "UPSTREAM AUTHORIZATION", "BODY")
	for _, c := range s.Chatflows() {
		var who []string
		for _, k := range c.Keys() {
			who = append(who, k.ID)
		}
		open := few(who)
		if c.Public {
			open = "everybody (public)"
		}
		row(t, c.ID, orDash(c.Name), open, cmp.Or(c.UpstreamAuthorization.String(), "as set"), describeBody(c.Body))
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

// printWarnings prints what is valid, and perhaps not meant.
func printWarnings(w io.Writer, s *keystore.Snapshot, certificates *certificate.Store) {
	for _, c := range certificates.Status() {
		if time.Until(c.NotAfter) < admin.ExpiresSoon {
			fmt.Fprintf(w, "warning: the certificate %q, for %s, expires at %s\n", c.Name, few(c.Names), when(c.NotAfter))
		}
	}
	for _, text := range s.Warnings {
		fmt.Fprintln(w, "warning:", text)
	}
	for _, k := range s.Keys() {
		for _, secret := range k.Secrets() {
			if secret.Plain {
				fmt.Fprintf(w, "to replace the secret of key %q: `sha256: %s`\n", k.ID, secret.Digest)
			}
		}
	}
}
