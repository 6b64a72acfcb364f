package main

import (
	"fmt"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyDeleteCmd struct {
	unusedOnly
	ID    string `name:"id" required:"" placeholder:"ID" help:"The key to delete."`
	Close bool   `help:"Close chatflows that no other key opens: remove their entries, with name and limits."`
}

func (keyDeleteCmd) Help() string {
	return `Removes the key from the file, and from the lists of chatflows. Its secrets are gone, and its ID is free: flowlatch key revoke
keeps both. Comments on lines of their own stay. As with revoke, the gate's admin listener is asked when the key was last used.

Example:

  flowlatch key delete --keys ./keys.yaml --id acme-web`
}

func (cmd *keyDeleteCmd) Run(c *config.Config, s streams) error {
	if err := cmd.inDirectory(c, cmd.ID); err != nil {
		return err
	}
	var e effect
	remove := e.of(c.Keys, func(data []byte) ([]byte, error) { return orClose(edit.DeleteKey(c.Keys, data, cmd.ID, cmd.Close)) })
	if err := cmd.check(c, cmd.ID, s, remove); err != nil {
		return err
	}
	others, err := cmd.unlist(c, s, remove)
	if err != nil {
		return err
	}
	if err := cmd.edit(c.Keys, s, remove); err != nil && others != nil {
		return fmt.Errorf("%w\nkey %q is no longer listed in other files, and still in %s", err, cmd.ID, c.Keys)
	} else if err != nil || cmd.Stdout {
		return err
	}
	opened := labelsOf(e.was, e.was.Key(cmd.ID))
	for _, o := range others {
		opened = append(opened, o.chatflows...)
	}
	fmt.Fprintf(s.err, "key %q is deleted from %s; it was listed for: %s\n", cmd.ID, c.Keys, few(opened))
	e.tellClosed(s)
	return nil
}

// unlist removes the key from the lists in other files, provided that it can be deleted from its own file. No file may
// list a key that does not exist.
func (cmd *keyDeleteCmd) unlist(c *config.Config, s streams, remove edit.Func) (others []otherEdit, err error) {
	if cmd.directory == "" {
		return nil, nil
	}
	others, err = cmd.listing(cmd.ID, c)
	if err != nil || others == nil {
		return nil, err
	}
	if err := cmd.tryOthers(others, true, func(o otherEdit, data []byte) ([]byte, error) {
		return orClose(edit.UnlistKey(o.path, data, cmd.ID, o.chatflows, cmd.Close))
	}); err != nil {
		return nil, err
	}
	if err := edit.Try(c.Keys, remove); err != nil {
		return nil, err
	}
	return others, cmd.editOthers(others, cmd.ID, "no longer listed", "", s)
}
