package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyPruneCmd struct {
	keyEdit
	ID     string `name:"id" placeholder:"ID" help:"Only this key's secrets. Default: those of all keys."`
	DryRun bool   `help:"Print what would be removed, and change nothing."`
	JSON   bool   `name:"json" help:"Print what is removed as JSON."`
}

func (keyPruneCmd) Help() string {
	return `Removes the secrets that have expired, as rotations leave them behind, and prints which. A key keeps its last secret, even an
expired one. Clients notice nothing: those secrets are refused already.

Examples:

  flowlatch key prune --keys ./keys.yaml --dry-run
  flowlatch key prune --keys ./keys.yaml --id acme-web`
}

func (cmd *keyPruneCmd) Run(c *config.Config, s streams) error {
	if cmd.JSON && cmd.Stdout {
		return usageError{errors.New("--json: standard output has the file of --stdout; leave one of them out")}
	}
	if err := cmd.inDirectory(c, cmd.ID); err != nil {
		return err
	}
	var pruned []edit.Pruned
	prune := func(data []byte) (next []byte, err error) {
		next, pruned, err = edit.PruneSecrets(c.Keys, data, cmd.ID, time.Now())
		return next, err
	}
	done := "are removed from"
	if cmd.DryRun {
		done = "would be removed from"
		data, err := edit.Read(c.Keys)
		if err != nil {
			return err
		}
		if _, err := prune(data); err != nil {
			return err
		}
	} else if err := cmd.edit(c.Keys, s, prune); err != nil {
		return err
	}
	if cmd.JSON {
		removed := []prunedSecret{}
		for _, p := range pruned {
			removed = append(removed, prunedSecret{p.Key, p.Secret.Fingerprint(), p.Secret.NotAfter()})
		}
		return printJSON(s.out, removed)
	}
	if len(pruned) == 0 {
		fmt.Fprintf(s.err, "nothing to remove from %s: no secret has expired; the last one of a key always stays\n", c.Keys)
		return nil
	}
	if cmd.Stdout {
		s.out = s.err // standard output has the file
	}
	t := newTable(s.out)
	row(t, "KEY", "SECRET", "EXPIRED")
	for _, p := range pruned {
		row(t, p.Key, p.Secret.Fingerprint(), when(p.Secret.NotAfter()))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "these secrets %s %s\n", done, c.Keys)
	return nil
}

type prunedSecret struct {
	Key         string    `json:"key"`
	Fingerprint string    `json:"fingerprint"`
	Expired     time.Time `json:"expired"`
}
