package main

import (
	"fmt"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyCmd struct {
	New      keyNewCmd      `cmd:"" help:"Make a key, and put its secret into a file or print it."`
	List     keyListCmd     `cmd:"" help:"List the keys and what they open."`
	Which    keyWhichCmd    `cmd:"" help:"Say whose a secret is and what it opens."`
	Grant    keyGrantCmd    `cmd:"" help:"Let a key open more chatflows."`
	Withdraw keyWithdrawCmd `cmd:"" help:"Take chatflows away from a key."`
	Rotate   keyRotateCmd   `cmd:"" help:"Give a key a new secret; the old one stays valid for a while."`
	Revoke   keyRevokeCmd   `cmd:"" help:"Disable a key."`
	Enable   keyEnableCmd   `cmd:"" help:"Enable a key that was revoked."`
	Delete   keyDeleteCmd   `cmd:"" help:"Remove a key from the file."`
	Prune    keyPruneCmd    `cmd:"" help:"Remove secrets that have expired."`
}

// keyFile has the flags of commands that read the key file.
type keyFile struct {
	config.FileFlag
	config.KeysFlag
}

// keyEdit has the flags of commands that change the key file.
type keyEdit struct {
	keyFile
	directory string // the one that --keys names; empty if it names a file

	Stdout bool `help:"Leave the file unchanged and print the new content to standard output; a secret then goes to standard error."`
}

// edit changes the key file, or prints the new content.
func (k *keyEdit) edit(path string, s streams, change edit.Func) error {
	return k.editAfter(nil, path, s, change)
}

// editAfter is like edit, but calls before, unless it is nil, just before it replaces the file or prints the new
// content. If before returns an error, neither happens.
func (k *keyEdit) editAfter(before func() error, path string, s streams, change edit.Func) error {
	change = k.checked(path, change)
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

// tellWaiting returns a function that says who an edit of the key file is waiting for.
func tellWaiting(path string, s streams) func(holder string) {
	return func(holder string) {
		fmt.Fprintf(s.err, "waiting for %s, which edits key files in the directory of %s\n", holder, path)
	}
}
