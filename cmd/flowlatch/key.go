package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyCmd struct {
	New    keyNewCmd    `cmd:"" help:"Make a key, and put its secret into a file or print it."`
	List   keyListCmd   `cmd:"" help:"List the keys and what they open."`
	Rotate keyRotateCmd `cmd:"" help:"Give a key a new secret; the old one stays valid for a while."`
	Revoke keyRevokeCmd `cmd:"" help:"Disable a key."`
	Prune  keyPruneCmd  `cmd:"" help:"Remove secrets that have expired."`
}

// keyFile has the flags of commands that read the key file.
type keyFile struct {
	config.FileFlag
	config.KeysFlag
}

// keyEdit has the flags of commands that change the key file.
type keyEdit struct {
	keyFile
	Stdout bool `help:"Leave the file unchanged and print the new content to standard output; a secret then goes to standard error."`
}

// edit changes the key file, or prints the new content.
func (k *keyEdit) edit(path string, s streams, change func(data []byte) ([]byte, error)) error {
	return k.editAfter(nil, path, s, change)
}

// editAfter is edit that calls before, unless it is nil, when nothing is left to do but to replace the file or to print
// the new content. With an error from it neither happens.
func (k *keyEdit) editAfter(before func() error, path string, s streams, change func(data []byte) ([]byte, error)) error {
	if !k.Stdout {
		_, err := edit.File(path, edit.Options{Before: before, Waiting: tellWaiting(path, s)}, change)
		return err
	}
	data, err := edit.Read(path)
	if err != nil {
		return err
	}
	if data, err = change(data); err != nil {
		return err
	}
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	if _, err = s.out.Write(data); err != nil {
		return fmt.Errorf("printing the new key file: %w", err)
	}
	return nil
}

// tellWaiting says for whom an edit of the key file waits.
func tellWaiting(path string, s streams) func(holder string) {
	return func(holder string) {
		fmt.Fprintf(s.err, "waiting for %s, which edits key files in the directory of %s\n", holder, path)
	}
}

type keyListCmd struct{ keyFile }

func (keyListCmd) Help() string { return "Example:\n\n  flowlatch key list --keys ./keys.yaml" }

func (cmd *keyListCmd) Run(c *config.Config, s streams) error {
	store, err := keystore.Open(c.Keys, keystore.Options{})
	if err != nil {
		return err
	}
	t := newTable(s.out)
	printKeys(t, store.Snapshot(), time.Now())
	return t.Flush()
}

type keyRevokeCmd struct {
	keyEdit
	config.AdminFlag
	ID    string `name:"id" required:"" placeholder:"ID" help:"The key to disable."`
	Force bool   `help:"Revoke the key even if it was used within the last 10 minutes."`
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
	disable := func(data []byte) ([]byte, error) { return edit.DisableKey(c.Keys, data, cmd.ID) }
	if !cmd.Force {
		data, err := edit.Read(c.Keys)
		if err == nil {
			_, err = disable(data) // a mistyped ID is reported before a gate is asked about it
		}
		if err == nil {
			err = cmd.inUse(c, s)
		}
		if err != nil {
			return err
		}
	}
	err := cmd.edit(c.Keys, s, disable)
	if err == nil && !cmd.Stdout {
		fmt.Fprintf(s.err, "key %q is disabled in %s; to enable it again, remove `disabled: true` there\n", cmd.ID, c.Keys)
	}
	return err
}

// recently is how long after its last use a key counts as in use.
const recently = 10 * time.Minute

// inUse asks the gate whether the key is in use. It is an error if it is, and if there is no telling: something listens
// there and does not say. Where nothing listens, no gate is running, or it is out of reach; it prints so and returns nil.
func (cmd *keyRevokeCmd) inUse(c *config.Config, s streams) error {
	one, err := doctor.Key(c.Admin, cmd.ID)
	k := one.Key
	if err == nil && one.KeysHash != "" { // of a gate that tells
		if store, err := keystore.Open(c.Keys, keystore.Options{}); err == nil && store.Snapshot().Hash() != one.KeysHash {
			fmt.Fprintf(s.err, "the gate at %s has not applied %s as it is now, so what it says may be of another key; --admin names another gate\n", c.Admin, c.Keys)
		}
	}
	switch {
	case errors.Is(err, doctor.ErrNoGate):
		fmt.Fprintf(s.err, "no gate listens at %s, so nobody can say whether the key is in use; --admin names another address\n", c.Admin)
	case err != nil:
		return fmt.Errorf("the gate at %s does not say whether key %q is in use: %w; ask again, name the gate's address with --admin, or revoke the key nevertheless with --force", c.Admin, cmd.ID, err)
	case k == nil:
		fmt.Fprintf(s.err, "the gate at %s does not have key %q, so it cannot say whether it is in use\n", c.Admin, cmd.ID)
	case k.OpenRequests > 0:
		return fmt.Errorf("key %q is in use now, according to the gate at %s: open requests: %d; --force revokes it nevertheless", cmd.ID, c.Admin, k.OpenRequests)
	case k.LastUsed != nil && time.Since(*k.LastUsed) < recently:
		return fmt.Errorf("key %q was used at %s, according to the gate at %s; --force revokes it nevertheless", cmd.ID, k.LastUsed.Format(time.RFC3339), c.Admin)
	}
	return nil
}
