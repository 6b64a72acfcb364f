package main

import (
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyNewCmd struct {
	keyEdit
	newSecret
	config.PresetFlag
	ID        string      `name:"id" required:"" placeholder:"ID" help:"The key's public ID, which appears in logs and metrics."`
	Chatflow  []string    `sep:"none" placeholder:"ID" help:"A chatflow that the key opens; repeat it for several. \"*\" means every chatflow."`
	NotBefore config.Time `placeholder:"TIME" help:"When the key becomes valid: a day (00:00 UTC) such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, or from now: 90d, 12h."`
	NotAfter  config.Time `placeholder:"TIME" help:"When the key expires, in the same forms."`
}

func (keyNewCmd) Help() string {
	return `The secret goes into the file of --out, or alone to standard output, and is stored nowhere else: the key file has its digest.
A running gate reloads the key file by itself. It is created if it does not exist.

Examples:

  flowlatch key new --keys ./keys.yaml --id acme-web --chatflow 3f1c2a9e-1111-4222-8333-444455556666 --out acme-web.secret
  flowlatch key new --keys ./keys.yaml --id ops --chatflow "*" --not-after 90d --out ops.secret`
}

func (cmd *keyNewCmd) Run(c *config.Config, s streams) error {
	if end := cmd.NotAfter; !end.IsZero() && !end.After(time.Now()) {
		return usageError{fmt.Errorf("--not-after: %s is in the past, so the key would never be valid", when(end.Time))}
	}
	secret := keystore.Generate()
	err := cmd.deliver(&cmd.keyEdit, c.Keys, s, secret, func(data []byte) ([]byte, error) {
		ids, err := chatflowIDs(cmd.Chatflow, c, data, s.err)
		if err != nil {
			return nil, err
		}
		next, err := edit.AddKey(c.Keys, data, edit.NewKey{
			ID: cmd.ID, Digest: keystore.DigestOf(secret), NotBefore: cmd.NotBefore.Time, NotAfter: cmd.NotAfter.Time, Chatflows: ids,
		})
		warnForwarded(s.err, c.Keys, next, cmd.ID)
		return next, err
	})
	if err != nil {
		return err
	}
	if len(cmd.Chatflow) == 0 {
		fmt.Fprintf(s.err, "key %q opens no chatflow yet: list it under a chatflow's `keys:`\n", cmd.ID)
	}
	done := fmt.Sprintf("key %q is in %s", cmd.ID, c.Keys)
	if !cmd.NotAfter.IsZero() {
		done += " and expires at " + when(cmd.NotAfter.Time)
	}
	cmd.tell(&cmd.keyEdit, s, done)
	return nil
}
