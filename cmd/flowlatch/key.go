package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/keystore"
)

type keyCmd struct {
	New    keyNewCmd    `cmd:"" help:"Make a key and print its secret, once."`
	List   keyListCmd   `cmd:"" help:"List the keys and what they open."`
	Revoke keyRevokeCmd `cmd:"" help:"Turn a key off."`
}

// keyFile is where the key commands work.
type keyFile struct {
	configSetting
	keysSetting
}

// keyEdit is what the commands that change the file have in common.
type keyEdit struct {
	keyFile
	Stdout bool `help:"Leave the file as it is and print the new one to standard output; a secret goes to standard error then."`
}

// edit changes the key file, or prints it changed.
func (k *keyEdit) edit(ctx *kong.Context, s streams, change func(file string, data []byte) ([]byte, error)) (path string, err error) {
	c, err := resolve(ctx)
	if err != nil {
		return "", err
	}
	if !k.Stdout {
		return c.keys, keystore.Edit(c.keys, func(data []byte) ([]byte, error) { return change(c.keys, data) })
	}
	data, err := os.ReadFile(c.keys)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if data, err = change(c.keys, data); err != nil {
		return "", err
	}
	_, err = s.out.Write(data)
	return c.keys, err
}

type keyNewCmd struct {
	keyEdit
	ID        string    `name:"id" required:"" placeholder:"ID" help:"The key's public ID, which stands in logs and metrics."`
	Chatflow  []string  `sep:"none" placeholder:"ID" help:"A chatflow that the key opens; repeat it for several. \"*\" stands for every chatflow."`
	NotBefore time.Time `placeholder:"TIME" help:"When the key becomes valid, as 2027-01-31T00:00:00Z."`
	NotAfter  time.Time `placeholder:"TIME" help:"When the key ceases to be valid."`
}

// Help is shown below the usage.
func (keyNewCmd) Help() string {
	return `The secret is printed alone on standard output and kept nowhere: the file holds its digest.
A gate that runs takes the new key up by itself. The file is made if it does not exist.

Examples:

  flowlatch key new --keys ./keys.yaml --id acme-web --chatflow 3f1c2a9e-1111-4222-8333-444455556666
  flowlatch key new --keys ./keys.yaml --id ops --chatflow "*" --not-after 2027-01-31T00:00:00Z > ops.secret`
}

// Run adds the key.
func (cmd *keyNewCmd) Run(ctx *kong.Context, s streams) error {
	secret := keystore.Generate()
	path, err := cmd.edit(ctx, s, func(file string, data []byte) ([]byte, error) {
		return keystore.AddKey(file, data, keystore.NewKey{
			ID: cmd.ID, Digest: keystore.DigestOf(secret), NotBefore: cmd.NotBefore, NotAfter: cmd.NotAfter, Chatflows: cmd.Chatflow,
		})
	})
	if err != nil {
		return err
	}
	to := s.out
	if cmd.Stdout {
		to = s.err
	} else {
		fmt.Fprintf(s.err, "key %q is in %s; its secret follows and is not kept anywhere\n", cmd.ID, path)
	}
	_, err = io.WriteString(to, secret+"\n")
	return err
}

type keyListCmd struct{ keyFile }

// Help is shown below the usage.
func (keyListCmd) Help() string { return "Example:\n\n  flowlatch key list --keys ./keys.yaml" }

// Run lists the keys.
func (cmd *keyListCmd) Run(ctx *kong.Context, s streams) error {
	c, err := resolve(ctx)
	if err != nil {
		return err
	}
	store, err := keystore.Open(c.keys, keystore.Options{})
	if err != nil {
		return err
	}
	printKeys(s.out, store.Snapshot(), time.Now())
	return nil
}

type keyRevokeCmd struct {
	keyEdit
	ID string `name:"id" required:"" placeholder:"ID" help:"The key to turn off."`
}

// Help is shown below the usage.
func (keyRevokeCmd) Help() string {
	return `The key stays in the file as disabled, so that its ID goes on to mean it. A gate that runs refuses it from
the next request on; answers that are under way may finish.

Example:

  flowlatch key revoke --keys ./keys.yaml --id acme-web`
}

// Run turns the key off.
func (cmd *keyRevokeCmd) Run(ctx *kong.Context, s streams) error {
	path, err := cmd.edit(ctx, s, func(file string, data []byte) ([]byte, error) {
		return keystore.DisableKey(file, data, cmd.ID)
	})
	if err == nil && !cmd.Stdout {
		fmt.Fprintf(s.err, "key %q is disabled in %s\n", cmd.ID, path)
	}
	return err
}
