package main

import (
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyEnableCmd struct {
	keyEdit
	ID string `name:"id" required:"" placeholder:"ID" help:"The key to enable."`
}

func (keyEnableCmd) Help() string {
	return `Undoes flowlatch key revoke: the key has the same secrets as before and opens the same chatflows.

Example:

  flowlatch key enable --keys ./keys.yaml --id acme-web`
}

func (cmd *keyEnableCmd) Run(c *config.Config, s streams) error {
	if err := cmd.inDirectory(c, cmd.ID); err != nil {
		return err
	}
	var key *keystore.Key
	err := cmd.edit(c.Keys, s, func(data []byte) ([]byte, error) {
		next, err := edit.EnableKey(c.Keys, data, cmd.ID)
		key = keyIn(c.Keys, next, cmd.ID)
		return next, err
	})
	if err == nil && !cmd.Stdout {
		fmt.Fprintf(s.err, "key %q is enabled in %s%s\n", cmd.ID, c.Keys, butNot(cmd.keysFlag(c), key))
	}
	return err
}

// keyIn returns a key of a key file that was edited, or nil if the edit failed.
func keyIn(file string, data []byte, id string) *keystore.Key {
	s, err := edit.Parse(file, data)
	if err != nil {
		return nil
	}
	return s.Key(id)
}

// butNot says why a key opens nothing at present; it returns "" for a key that is valid. keysFlag is the --keys of a command
// that it may suggest.
func butNot(keysFlag string, k *keystore.Key) string {
	switch v := k.Validity(time.Now()); v {
	case keystore.Disabled:
		return fmt.Sprintf("; but it is disabled: `flowlatch key enable %s --id %s` enables it", keysFlag, k.ID)
	case keystore.Expired:
		return fmt.Sprintf("; but it expired at %s: change its not_after in the file", when(k.NotAfter()))
	case keystore.NotYetValid:
		return fmt.Sprintf("; but it is not valid before %s", when(k.NotBefore()))
	case keystore.Honey:
		return "; but it is a honey key, which opens nothing"
	default:
		return ""
	}
}
