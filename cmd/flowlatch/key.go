package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyCmd struct {
	New    keyNewCmd    `cmd:"" help:"Make a key and print its secret, once."`
	List   keyListCmd   `cmd:"" help:"List the keys and what they open."`
	Rotate keyRotateCmd `cmd:"" help:"Give a key a new secret; the old one stays valid for a while."`
	Revoke keyRevokeCmd `cmd:"" help:"Disable a key."`
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
	if !k.Stdout {
		return edit.File(path, change)
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if data, err = change(data); err != nil {
		return err
	}
	_, err = s.out.Write(data)
	return err
}

type keyNewCmd struct {
	keyEdit
	ID        string    `name:"id" required:"" placeholder:"ID" help:"The key's public ID, which appears in logs and metrics."`
	Chatflow  []string  `sep:"none" placeholder:"ID" help:"A chatflow that the key opens; repeat it for several. \"*\" means every chatflow."`
	NotBefore time.Time `placeholder:"TIME" help:"When the key becomes valid, such as 2027-01-31T00:00:00Z."`
	NotAfter  time.Time `placeholder:"TIME" help:"When the key expires."`
}

func (keyNewCmd) Help() string {
	return `The secret is printed on standard output, alone, and stored nowhere: the file has its digest.
A running gate reloads the file by itself. The file is created if it does not exist.

Examples:

  flowlatch key new --keys ./keys.yaml --id acme-web --chatflow 3f1c2a9e-1111-4222-8333-444455556666
  flowlatch key new --keys ./keys.yaml --id ops --chatflow "*" --not-after 2027-01-31T00:00:00Z > ops.secret`
}

func (cmd *keyNewCmd) Run(c *config.Config, s streams) error {
	secret := keystore.Generate()
	err := cmd.edit(c.Keys, s, func(data []byte) ([]byte, error) {
		return edit.AddKey(c.Keys, data, edit.NewKey{
			ID: cmd.ID, Digest: keystore.DigestOf(secret), NotBefore: cmd.NotBefore, NotAfter: cmd.NotAfter, Chatflows: cmd.Chatflow,
		})
	})
	if err != nil {
		return err
	}
	if len(cmd.Chatflow) == 0 {
		fmt.Fprintf(s.err, "key %q opens no chatflow yet: list it under a chatflow's `keys:`\n", cmd.ID)
	}
	return cmd.printSecret(s, secret, fmt.Sprintf("key %q is in %s", cmd.ID, c.Keys))
}

// printSecret prints a new secret, alone, and what was done.
func (k *keyEdit) printSecret(s streams, secret, done string) error {
	to := s.out
	if k.Stdout {
		to = s.err // standard output has the file
	} else {
		fmt.Fprintln(s.err, done+"; its new secret follows and is not stored anywhere")
	}
	_, err := io.WriteString(to, secret+"\n")
	return err
}

type keyRotateCmd struct {
	keyEdit
	ID      string        `name:"id" required:"" placeholder:"ID" help:"The key to give a new secret."`
	Overlap time.Duration `default:"24h" help:"How long the old secret stays valid; 0 ends it at once."`
}

func (keyRotateCmd) Help() string {
	return `The key keeps its ID and what it opens. Both secrets are valid during the overlap, and responses to requests with the old one
have Deprecation and Sunset headers. The new secret is printed on standard output, alone, and stored nowhere.

Examples:

  flowlatch key rotate --keys ./keys.yaml --id acme-web --overlap 24h
  flowlatch key rotate --keys ./keys.yaml --id acme-web --overlap 0`
}

func (cmd *keyRotateCmd) Run(c *config.Config, s streams) error {
	if cmd.Overlap < 0 {
		return usageError{errors.New("--overlap must not be negative")}
	}
	secret, until := keystore.Generate(), time.Now().Add(cmd.Overlap)
	err := cmd.edit(c.Keys, s, func(data []byte) ([]byte, error) {
		return edit.RotateKey(c.Keys, data, cmd.ID, keystore.DigestOf(secret), until)
	})
	if err != nil {
		return err
	}
	return cmd.printSecret(s, secret, fmt.Sprintf("key %q has a new secret in %s, the old one expires at %s", cmd.ID, c.Keys, until.UTC().Format(time.RFC3339)))
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
	if !cmd.Force {
		if err := cmd.inUse(c, s); err != nil {
			return err
		}
	}
	err := cmd.edit(c.Keys, s, func(data []byte) ([]byte, error) {
		return edit.DisableKey(c.Keys, data, cmd.ID)
	})
	if err == nil && !cmd.Stdout {
		fmt.Fprintf(s.err, "key %q is disabled in %s\n", cmd.ID, c.Keys)
	}
	return err
}

// recently is how long after its last use a key counts as in use.
const recently = 10 * time.Minute

// inUse asks the gate whether the key is in use. It is an error if it is, and if there is no telling: something listens
// there and does not say. Where nothing listens, no gate is running, or it is out of reach; it prints so and returns nil.
func (cmd *keyRevokeCmd) inUse(c *config.Config, s streams) error {
	k, err := doctor.Key(c.Admin, cmd.ID)
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
