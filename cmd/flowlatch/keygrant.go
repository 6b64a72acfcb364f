package main

import (
	"bytes"
	"errors"
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
	return cmd.editLists(cmd.ID, cmd.Chatflow, c, s, listEdit{
		verb: "listed",
		own:  func(chatflows []string) (string, error) { return cmd.grant(chatflows, c, s) },
		other: func(o otherEdit, data []byte) ([]byte, error) {
			return edit.ListKey(o.path, data, cmd.ID, o.chatflows)
		},
	})
}

// grant lists the key for chatflows of its own file. It returns what it has done, and prints that.
func (cmd *keyGrantCmd) grant(chatflows []string, c *config.Config, s streams) (done string, err error) {
	var ids []string
	var key *keystore.Key
	changed := false
	err = cmd.edit(c.Keys, s, func(data []byte) (next []byte, err error) {
		if ids, err = chatflowIDs(chatflows, c, data, s.err); err != nil {
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
		return "", err
	case !changed:
		done = fmt.Sprintf("key %q is listed for %s already; %s is unchanged%s", cmd.ID, few(ids), c.Keys, butNot(cmd.keysFlag(c), key))
	default:
		done = fmt.Sprintf("key %q is listed for %s in %s%s", cmd.ID, few(ids), c.Keys, butNot(cmd.keysFlag(c), key))
	}
	fmt.Fprintln(s.err, done)
	return done, nil
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
	err := cmd.editLists(cmd.ID, cmd.Chatflow, c, s, listEdit{
		verb: "no longer listed",
		own:  func(chatflows []string) (string, error) { return cmd.withdraw(chatflows, c, s) },
		other: func(o otherEdit, data []byte) ([]byte, error) {
			return orClose(edit.UnlistKey(o.path, data, cmd.ID, o.chatflows, cmd.Close))
		},
	})
	if err != nil || cmd.Stdout {
		return err
	}
	return cmd.warnOfEvery(c, s)
}

// withdraw takes the key from the lists of chatflows in its own file. It returns what it has done, and prints that.
func (cmd *keyWithdrawCmd) withdraw(chatflows []string, c *config.Config, s streams) (done string, err error) {
	var ids []string
	var e effect
	err = cmd.edit(c.Keys, s, e.of(c.Keys, func(data []byte) (next []byte, err error) {
		if ids, err = listedChatflows(chatflows, c, data, s.err); err != nil {
			return nil, err
		}
		return orClose(edit.WithdrawKey(c.Keys, data, cmd.ID, ids, cmd.Close))
	}))
	if err != nil || cmd.Stdout {
		return "", err
	}
	done = fmt.Sprintf("key %q is no longer listed for %s in %s", cmd.ID, few(ids), c.Keys)
	fmt.Fprintln(s.err, done)
	e.tellClosed(s)
	return done, nil
}

// orClose mentions --close in the error about an edit that would leave a chatflow without a key.
func orClose(data []byte, err error) ([]byte, error) {
	if errors.As(err, new(*edit.NoKeyError)) {
		err = fmt.Errorf("%w: --close does that", err)
	}
	return data, err
}

// warnOfEvery warns if the key still opens every chatflow because it is listed under "*".
func (cmd *keyWithdrawCmd) warnOfEvery(c *config.Config, s streams) error {
	all, err := cmd.chatflows(c)
	if err != nil {
		return err
	}
	for _, chatflow := range all {
		if chatflow.ID == keystore.EveryChatflow && chatflow.ListsID(cmd.ID) {
			fmt.Fprintf(s.err, "warning: it is listed under \"*\", so it still opens every chatflow; `flowlatch key withdraw %s --id %s --chatflow \"*\"` takes that away\n", cmd.keysFlag(c), cmd.ID)
		}
	}
	return nil
}
