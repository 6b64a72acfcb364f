package main

import (
	"errors"
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
	File      string      `placeholder:"NAME" help:"Where --keys names a directory: the key file in it that gets the key. It is created if it does not exist."`
	Chatflow  []string    `sep:"none" placeholder:"ID" help:"A chatflow that the key opens; repeat it for several. \"*\" means every chatflow."`
	Owner     string      `placeholder:"TEXT" help:"Who has the key, for people: at most 200 characters."`
	Limits    string      `placeholder:"LIMITS" help:"How much it may be used, as in the key file: \"requests: [10/1s, 10000/month], concurrent: 4\"."`
	Honey     bool        `help:"Make a honey key, to be planted where only a thief looks: it opens nothing, and whoever sends it is reported."`
	NotBefore config.Time `placeholder:"TIME" help:"When the key becomes valid: a day (00:00 UTC) such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, or from now: 90d, 12h."`
	NotAfter  config.Time `placeholder:"TIME" help:"When the key expires, in the same forms."`
}

func (keyNewCmd) Help() string {
	return `The secret goes into the file of --out, or alone to standard output, and is stored nowhere else: the key file has its digest.
A running gate reloads the key file by itself. It is created if it does not exist.

Examples:

  flowlatch key new --keys ./keys.yaml --id acme-web --chatflow 3f1c2a9e-1111-4222-8333-444455556666 --out acme-web.secret
  flowlatch key new --keys ./keys.yaml --id ops --chatflow "*" --not-after 90d --out ops.secret
  flowlatch key new --keys ./keys.yaml --id trap --honey --out trap.secret`
}

func (cmd *keyNewCmd) Run(c *config.Config, s streams) error {
	if end := cmd.NotAfter; !end.IsZero() && !end.After(time.Now()) {
		return usageError{fmt.Errorf("--not-after: %s is in the past, so the key would never be valid", when(end.Time))}
	}
	if cmd.Honey && (len(cmd.Chatflow) > 0 || cmd.Limits != "" || !cmd.NotBefore.IsZero() || !cmd.NotAfter.IsZero()) {
		return usageError{errors.New("--honey: a honey key opens nothing at any time, so leave out --chatflow, --limits, --not-before and --not-after")}
	}
	var limits *keystore.Limits
	if cmd.Limits != "" {
		var err error
		if limits, err = keystore.ParseLimits(cmd.Limits); err != nil {
			return usageError{fmt.Errorf("--limits: %w", err)}
		}
	}
	if err := cmd.inNewPlace(c, cmd.File); err != nil {
		return err
	}
	own, others, err := cmd.divide(cmd.Chatflow, c, s.err)
	if err != nil {
		return err
	}
	if err := cmd.tryOthers(others, true, func(o otherEdit, data []byte) ([]byte, error) {
		return edit.ListKey(o.path, data, cmd.ID, o.chatflows)
	}); err != nil {
		return err
	}
	secret := keystore.Generate()
	err = cmd.deliver(&cmd.keyEdit, c.Keys, s, secret, func(data []byte) ([]byte, error) {
		ids, err := chatflowIDs(own, c, data, s.err)
		if err != nil {
			return nil, err
		}
		next, err := edit.AddKey(c.Keys, data, edit.NewKey{
			ID: cmd.ID, Digest: keystore.DigestOf(secret), Owner: cmd.Owner, NotBefore: cmd.NotBefore.Time, NotAfter: cmd.NotAfter.Time,
			Limits: limits, Honey: cmd.Honey, Chatflows: ids,
		})
		warnForwarded(s.err, c.Keys, next, cmd.ID)
		return next, err
	})
	if err != nil {
		return err
	}
	switch {
	case cmd.Honey:
		fmt.Fprintf(s.err, "key %q is a honey key: plant its secret where only a thief looks, and be told when it is sent\n", cmd.ID)
	case len(cmd.Chatflow) == 0:
		fmt.Fprintf(s.err, "key %q opens no chatflow yet: `flowlatch key grant %s --id %s --chatflow ID`\n", cmd.ID, cmd.keysFlag(c), cmd.ID)
	}
	done := fmt.Sprintf("key %q is in %s", cmd.ID, c.Keys)
	if !cmd.NotAfter.IsZero() {
		done += " and expires at " + when(cmd.NotAfter.Time)
	}
	cmd.tell(&cmd.keyEdit, s, done)
	return cmd.editOthers(others, cmd.ID, "listed", fmt.Sprintf("key %q is made", cmd.ID), s)
}
