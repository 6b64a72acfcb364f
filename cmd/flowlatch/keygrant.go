package main

import (
	"bytes"
	"fmt"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

type keyGrantCmd struct {
	keyEdit
	config.PresetFlag
	ID       string   `name:"id" required:"" placeholder:"ID" help:"The key."`
	Chatflow []string `required:"" sep:"none" placeholder:"ID" help:"A chatflow that the key is to open: its ID, its name in the key file, or its address in Flowise; repeat it for several. \"*\" means every chatflow."`
}

func (keyGrantCmd) Help() string {
	return `Lists the key under chatflows, which are added to the file if they are not there yet. A running gate applies it by itself.

Examples:

  flowlatch key grant --keys ./keys.yaml --id acme-web --chatflow 8d2b6c1f-7777-4888-9999-aaaabbbbcccc
  flowlatch key grant --keys ./keys.yaml --id acme-web --chatflow http://127.0.0.1:3000/canvas/8d2b6c1f-7777-4888-9999-aaaabbbbcccc`
}

func (cmd *keyGrantCmd) Run(c *config.Config, s streams) error {
	if err := cmd.inDirectory(c, cmd.ID); err != nil {
		return err
	}
	var ids []string
	var key *keystore.Key
	changed := false
	err := cmd.edit(c.Keys, s, func(data []byte) (next []byte, err error) {
		if ids, err = chatflowIDs(cmd.Chatflow, c, data, s.err); err != nil {
			return nil, err
		}
		next, err = edit.GrantKey(c.Keys, data, cmd.ID, ids)
		if err == nil {
			key, changed = keyIn(c.Keys, next, cmd.ID), !bytes.Equal(data, next)
			warnForwarded(s.err, c.Keys, next, cmd.ID)
		}
		return next, err
	})
	switch {
	case err != nil || cmd.Stdout:
	case !changed:
		fmt.Fprintf(s.err, "key %q is listed for %s already; %s is unchanged%s\n", cmd.ID, few(ids), c.Keys, butNot(key))
	default:
		fmt.Fprintf(s.err, "key %q is listed for %s in %s%s\n", cmd.ID, few(ids), c.Keys, butNot(key))
	}
	return err
}

type keyWithdrawCmd struct {
	keyEdit
	ID       string   `name:"id" required:"" placeholder:"ID" help:"The key."`
	Chatflow []string `required:"" sep:"none" placeholder:"ID" help:"A chatflow that the key is not to open any more: its ID, its name in the key file, or its address in Flowise; repeat it for several."`
	Close    bool     `help:"Close chatflows that no other key opens: remove their entries, with name and limits."`
}

func (keyWithdrawCmd) Help() string {
	return `Removes the key from the lists of chatflows. Comments on lines of their own stay. A running gate applies it by itself; open
responses may finish, unless the gate has --cut-streams-on-revoke.

Example:

  flowlatch key withdraw --keys ./keys.yaml --id acme-web --chatflow support-bot`
}

func (cmd *keyWithdrawCmd) Run(c *config.Config, s streams) error {
	if err := cmd.inDirectory(c, cmd.ID); err != nil {
		return err
	}
	var ids []string
	var was, is *keystore.Snapshot
	err := cmd.edit(c.Keys, s, func(data []byte) (next []byte, err error) {
		if ids, err = listedChatflows(cmd.Chatflow, c, data, s.err, func(id string) error { return cmd.elsewhere(c, id, cmd.ID) }); err != nil {
			return nil, err
		}
		if next, err = edit.WithdrawKey(c.Keys, data, cmd.ID, ids, cmd.Close); err != nil {
			return nil, err
		}
		was, _ = edit.Parse(c.Keys, data) // both were read before
		is, _ = edit.Parse(c.Keys, next)
		return next, nil
	})
	if err != nil || cmd.Stdout {
		return err
	}
	fmt.Fprintf(s.err, "key %q is no longer listed for %s in %s\n", cmd.ID, few(ids), c.Keys)
	tellClosed(s, was, is)
	if every := is.Entry(keystore.EveryChatflow); every != nil && every.Lists(is.Key(cmd.ID)) {
		fmt.Fprintf(s.err, "warning: it is listed under \"*\", so it still opens every chatflow; `flowlatch key withdraw --id %s --chatflow \"*\"` takes that away\n", cmd.ID)
	}
	return nil
}

// tellClosed says which chatflows an edit has closed.
func tellClosed(s streams, was, is *keystore.Snapshot) {
	var labels []string
	for _, id := range keystore.Compare(was, is).ChatflowsRemoved {
		labels = append(labels, was.Entry(id).Label())
	}
	if labels != nil {
		fmt.Fprintf(s.err, "closed, as no other key opens them: %s\n", few(labels))
	}
}
