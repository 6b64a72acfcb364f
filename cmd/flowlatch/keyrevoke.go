package main

import (
	"fmt"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyRevokeCmd struct {
	unusedOnly
	ID string `name:"id" required:"" placeholder:"ID" help:"The key to disable."`
}

func (keyRevokeCmd) Help() string {
	return `The key stays in the file, disabled, so that its ID cannot come to mean another. A running gate refuses it from the next
request on; open responses may finish, unless the gate has --cut-streams-on-revoke. The gate's admin listener is asked
when the key was last used: a key that is in use is not revoked without --force, nor one of a gate that does not answer.

Examples:

  flowlatch key revoke --keys ./keys.yaml --id acme-web
  flowlatch key revoke --keys ./keys.yaml --id acme-web --force`
}

func (cmd *keyRevokeCmd) Run(c *config.Config, s streams) error {
	if err := cmd.inDirectory(c, cmd.ID); err != nil {
		return err
	}
	disable := func(data []byte) ([]byte, error) { return edit.DisableKey(c.Keys, data, cmd.ID) }
	if err := cmd.check(c, cmd.ID, s, disable); err != nil {
		return err
	}
	err := cmd.edit(c.Keys, s, disable)
	if err == nil && !cmd.Stdout {
		fmt.Fprintf(s.err, "key %q is disabled in %s; `flowlatch key enable %s --id %s` enables it again\n", cmd.ID, c.Keys, cmd.keysFlag(c), cmd.ID)
	}
	return err
}
