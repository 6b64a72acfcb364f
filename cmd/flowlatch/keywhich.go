package main

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
)

type keyWhichCmd struct {
	keyFile
	SecretFile string `placeholder:"FILE" help:"File with the secret, alone on a line. Default: standard input."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

func (keyWhichCmd) Help() string {
	return `Reads a secret and says which key has it, and what that opens. No argument takes a secret: other users of the machine
see those, and the shell keeps them. Nothing is sent anywhere. Exit code 1 if no key has the secret.

Examples:

  flowlatch key which --keys ./keys.yaml --secret-file acme-web.secret
  flowlatch key which --keys ./keys.yaml --json`
}

// whichKey is what is known of a secret.
type whichKey struct {
	Secret listedSecret `json:"secret"`
	Key    listedKey    `json:"key"`
}

func (cmd *keyWhichCmd) Run(c *config.Config, s streams) error {
	store, err := keystore.Open(c.Keys, keystore.Options{MayBeEmpty: true})
	if err != nil {
		return err
	}
	secret, err := cmd.secret(s)
	if err != nil {
		return err
	}
	now, snapshot := time.Now(), store.Snapshot()
	match := snapshot.Match(keystore.DigestOf(secret), now)
	if match.Key == nil {
		why := "it was never made, was deleted or pruned, or belongs to another gate"
		if keystore.Mistyped(secret) {
			why = "its checksum is wrong: it was mistyped, or not copied completely"
		}
		return fmt.Errorf("no key of %s has this secret; %s", c.Keys, why)
	}
	found := whichKey{Secret: listSecret(match.Secret, now)}
	for _, k := range listKeys(snapshot, nil, now) {
		if k.key == match.Key {
			found.Key = k
		}
	}
	if cmd.JSON {
		return printJSON(s.out, found)
	}
	t := newTable(s.out)
	row(t, "key", found.Key.ID)
	if found.Key.File != "" {
		row(t, "file", found.Key.File)
	}
	if found.Key.Owner != "" {
		row(t, "owner", found.Key.Owner)
	}
	row(t, "secret", found.Secret.Fingerprint+", "+found.Secret.Status)
	row(t, "not before", when(match.Secret.NotBefore()))
	row(t, "not after", when(earlier(match.Secret.NotAfter(), match.Key.OwnNotAfter())))
	if found.Key.Limits != "" {
		row(t, "limits", found.Key.Limits)
	}
	word := "opens"
	for _, c := range found.Key.Opens {
		row(t, word, strings.TrimSpace(c.ID+"  "+c.Name))
		word = ""
	}
	if word != "" {
		row(t, word, "-")
	}
	return t.Flush()
}

// earlier returns the earlier of two end times; a zero time means no end.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// secret reads the secret.
func (cmd *keyWhichCmd) secret(s streams) (string, error) {
	if cmd.SecretFile != "" {
		return secretFrom("--secret-file", cmd.SecretFile, "", s)
	}
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&fs.ModeCharDevice != 0 {
		fmt.Fprintln(s.err, "type or paste the secret, then press Enter and Ctrl-D")
	}
	return secretFrom("standard input", "/dev/stdin", "", s)
}
