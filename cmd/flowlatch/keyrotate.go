package main

import (
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyRotateCmd struct {
	keyEdit
	newSecret
	ID      string       `name:"id" required:"" placeholder:"ID" help:"The key to give a new secret."`
	Overlap config.Until `default:"24h" help:"How long the old secret stays valid, such as 24h or 7d, or until when: 2027-01-31 (00:00 UTC) or 2027-01-31T18:00:00Z; 0 ends it at once."`
}

func (keyRotateCmd) Help() string {
	return `The key keeps its ID and what it opens. Both secrets are valid during the overlap, and responses to requests with the old one
have Deprecation and Sunset headers. The new secret goes into the file of --out, or alone to standard output, and is
stored nowhere else.

Examples:

  flowlatch key rotate --keys ./keys.yaml --id acme-web --overlap 7d --out acme-web.next.secret
  flowlatch key rotate --keys ./keys.yaml --id acme-web --overlap 0 --out acme-web.next.secret`
}

func (cmd *keyRotateCmd) Run(c *config.Config, s streams) error {
	if err := cmd.inDirectory(c, cmd.ID); err != nil {
		return err
	}
	secret, until := keystore.Generate(), cmd.Overlap.Time
	if !cmd.Overlap.Now && !until.After(time.Now()) {
		return usageError{fmt.Errorf("--overlap: %s is in the past; 0 ends the old secret at once", when(until))}
	}
	err := cmd.deliver(&cmd.keyEdit, c.Keys, s, secret, func(data []byte) ([]byte, error) {
		next, err := edit.RotateKey(c.Keys, data, cmd.ID, keystore.DigestOf(secret), until)
		warnForwarded(s.err, c.Keys, next, cmd.ID)
		return next, err
	})
	if err != nil {
		return err
	}
	old := "the old one expires at " + when(until.UTC())
	if cmd.Overlap.Now {
		old = "the old one is not valid any more"
	}
	cmd.tell(&cmd.keyEdit, s, fmt.Sprintf("key %q has a new secret in %s, %s", cmd.ID, c.Keys, old))
	return nil
}
