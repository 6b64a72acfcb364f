package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	"github.com/flowlatch/flowlatch/keystore"
)

type keyListCmd struct {
	keyFile
	config.AdminFlag
	JSON bool `name:"json" help:"Print JSON."`
}

func (keyListCmd) Help() string {
	return `Secrets are shown by their fingerprints. If the gate at --admin has applied this key file, it is asked when each key was last
used since the gate started. Columns that would be empty are left out.

Examples:

  flowlatch key list --keys ./keys.yaml
  flowlatch key list --keys ./keys.yaml --json`
}

func (cmd *keyListCmd) Run(c *config.Config, s streams) error {
	store, err := keystore.Open(c.Keys, keystore.Options{MayBeEmpty: true})
	if err != nil {
		return err
	}
	keys := listKeys(store.Snapshot(), lastUses(c, store.Snapshot(), s), time.Now())
	if cmd.JSON {
		return printJSON(s.out, keys)
	}
	opens := labelsByKey(store.Snapshot())
	shown := func(has func(k listedKey) bool) bool { return slices.ContainsFunc(keys, has) }
	columns := []struct {
		title string
		shown bool
		cell  func(k listedKey) string
	}{
		{"KEY", true, func(k listedKey) string { return k.ID }},
		{"STATUS", true, func(k listedKey) string { return k.Status }},
		{"FILE", shown(func(k listedKey) bool { return k.File != "" }), func(k listedKey) string { return k.File }},
		{"OWNER", shown(func(k listedKey) bool { return k.Owner != "" }), func(k listedKey) string { return orDash(k.Owner) }},
		{"NOT BEFORE", true, func(k listedKey) string { return when(k.key.NotBefore()) }},
		{"NOT AFTER", true, func(k listedKey) string { return when(k.key.NotAfter()) }},
		{"LAST USED", shown(func(k listedKey) bool { return !k.LastUsed.IsZero() }), func(k listedKey) string { return when(k.LastUsed) }},
		{"SECRETS", true, func(k listedKey) string { return secretsOf(k.key, time.Now()) }},
		{"LIMITS", shown(func(k listedKey) bool { return k.Limits != "" }), func(k listedKey) string { return orDash(k.Limits) }},
		{"OPENS", true, func(k listedKey) string { return few(opens[k.ID]) }},
	}
	t := newTable(s.out)
	var cells []string
	for _, c := range columns {
		if c.shown {
			cells = append(cells, c.title)
		}
	}
	row(t, cells...)
	for _, k := range keys {
		cells = cells[:0]
		for _, c := range columns {
			if c.shown {
				cells = append(cells, c.cell(k))
			}
		}
		row(t, cells...)
	}
	return t.Flush()
}

// listedKey is a key as commands print it.
type listedKey struct {
	ID        string           `json:"id"`
	File      string           `json:"file,omitempty"` // set if --keys names a directory
	Owner     string           `json:"owner,omitempty"`
	Status    string           `json:"status"`
	NotBefore time.Time        `json:"not_before,omitzero"`
	NotAfter  time.Time        `json:"not_after,omitzero"`
	LastUsed  time.Time        `json:"last_used,omitzero"`
	Secrets   []listedSecret   `json:"secrets"`
	Limits    string           `json:"limits,omitempty"`
	From      []netip.Prefix   `json:"from,omitempty"`
	Groups    []string         `json:"groups,omitempty"`
	Opens     []listedChatflow `json:"opens"`

	key *keystore.Key
}

type listedSecret struct {
	Fingerprint string    `json:"fingerprint"`
	Status      string    `json:"status"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
}

type listedChatflow struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// listKeys returns the keys in the order of the file.
func listKeys(s *keystore.Snapshot, used map[string]time.Time, now time.Time) []listedKey {
	opens := map[*keystore.Key][]listedChatflow{}
	for _, c := range s.Chatflows() {
		for _, k := range c.Keys() {
			opens[k] = append(opens[k], listedChatflow{c.ID, c.Name})
		}
	}
	keys := []listedKey{}
	for _, k := range s.Keys() {
		listed := listedKey{
			ID: k.ID, Owner: k.Owner, Status: k.Validity(now).String(), NotBefore: k.NotBefore(), NotAfter: k.NotAfter(),
			LastUsed: used[k.ID], From: k.From, Groups: k.Groups, Opens: opens[k], key: k,
		}
		if s.IsDirectory() {
			listed.File = filepath.Base(k.File())
		}
		if listed.Opens == nil {
			listed.Opens = []listedChatflow{}
		}
		if !k.Limits.Empty() {
			listed.Limits = k.Limits.String()
		}
		for _, secret := range k.Secrets() {
			listed.Secrets = append(listed.Secrets, listSecret(&secret, now))
		}
		keys = append(keys, listed)
	}
	return keys
}

func listSecret(s *keystore.Secret, now time.Time) listedSecret {
	return listedSecret{s.Fingerprint(), s.Validity(now).String(), s.NotBefore(), s.NotAfter()}
}

// labelsByKey returns the labels of the chatflows that each key is listed for, by its ID.
func labelsByKey(s *keystore.Snapshot) map[string][]string {
	labels := map[string][]string{}
	for _, c := range s.Chatflows() {
		for _, k := range c.Keys() {
			labels[k.ID] = append(labels[k.ID], c.Label())
		}
	}
	return labels
}

// labelsOf returns the labels of the chatflows that a key is listed for.
func labelsOf(s *keystore.Snapshot, k *keystore.Key) (all []string) {
	for _, c := range s.Listing(k) {
		all = append(all, c.Label())
	}
	return all
}

// mostAsked is how many keys a gate is asked about at most.
const mostAsked = 5000

// lastUses asks the gate when keys were last used. If --admin was not set, it silently ignores a gate that does not
// answer or has other keys. If it was set, it says so in both cases, and still returns what a gate with other keys
// says.
func lastUses(c *config.Config, keys *keystore.Snapshot, s streams) map[string]time.Time {
	status, err := doctor.Status(c.Admin, mostAsked)
	named := c.Given("admin")
	switch {
	case err != nil && named:
		fmt.Fprintf(s.err, "the gate at %s does not say when keys were last used: %v\n", c.Admin, err)
		return nil
	case err != nil || status.KeysHash != keys.Hash() && !named:
		return nil
	case status.KeysHash != keys.Hash():
		fmt.Fprintf(s.err, "the gate at %s has not applied %s as it is now, so its last uses may be of other keys\n", c.Admin, c.Keys)
	case status.KeyCounts.Total > mostAsked:
		fmt.Fprintf(s.err, "LAST USED is shown for the %d keys that were used last\n", mostAsked)
	}
	used := map[string]time.Time{}
	for _, k := range status.Keys {
		if !k.LastUsed.IsZero() {
			used[k.ID] = k.LastUsed
		}
	}
	return used
}
