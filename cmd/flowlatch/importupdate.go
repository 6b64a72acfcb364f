package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/keystore/flowise"
)

// update shows what is new in Flowise, and adds it to the key file.
func (cmd *importCmd) update(c *config.Config, s streams) error {
	data, err := edit.Read(c.Keys)
	switch {
	case err != nil:
		return err
	case data == nil:
		return fmt.Errorf("--update: %s does not exist; leave out --update to make it, or name another file with --keys", c.Keys)
	}
	store, err := keystore.Open(c.Keys, keystore.Options{Content: data, MayBeEmpty: true})
	if err != nil {
		return err
	}
	if name := store.Snapshot().FlowiseKeys(); name != "" {
		return fmt.Errorf("--update: %s uses the keys in Flowise's own file (flowise_api_keys: %s), so they need not be added; list chatflows by hand", c.Keys, name)
	}
	credential, err := cmd.credential(s)
	if err != nil {
		return err
	}
	found, err := cmd.read(c, credential)
	if err != nil {
		return err
	}
	update := flowise.Compare(found, store.Snapshot(), cmd.PublicStaysPublic)
	if err := update.Report(s.err); err != nil {
		return err
	}
	next, err := edit.Add(c.Keys, data, additions(update))
	if err != nil {
		return err
	}
	switch {
	case cmd.DryRun:
		_, err = s.out.Write(next)
		return err
	case update.Empty():
		fmt.Fprintf(s.err, "\n%s lacks nothing that Flowise has, and is unchanged\n", c.Keys)
		return nil
	case !cmd.Yes:
		if err := ask(s, fmt.Sprintf("\nAdd the lines that begin with + to %s? [y/N] ", c.Keys)); err != nil {
			return fmt.Errorf("%s is unchanged: %w", c.Keys, err)
		}
	}
	o := edit.Options{Version: edit.Version(data), Waiting: tellWaiting(c.Keys, s)}
	if _, err := edit.File(c.Keys, o, func([]byte) ([]byte, error) { return next, nil }); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "\nadded to %s: %s, %s, %s; `flowlatch check --keys %s` shows what it opens\n", c.Keys,
		count(len(update.Keys), "key"), count(len(update.Chatflows), "chatflow"), count(len(update.Names), "name"), keystore.ForShell(c.Keys))
	return nil
}

// additions returns an update as an edit of the key file.
func additions(u *flowise.Update) (a edit.Additions) {
	for _, k := range u.Keys {
		a.Keys = append(a.Keys, edit.NewKey{ID: k.ID, Digest: k.Digest, Chatflows: k.Chatflows})
	}
	for _, f := range u.Chatflows {
		c := edit.NewChatflow{ID: f.ID, Name: f.Name, Public: f.Public}
		if !f.Public { // Flowise checks the key, too
			c.Keys, c.Forward = []string{f.Key}, true
		}
		a.Chatflows = append(a.Chatflows, c)
	}
	a.Names = u.Names
	return a
}

// ask asks a question on standard error, and returns an error unless the answer on standard input is yes.
func ask(s streams, question string) error {
	fmt.Fprint(s.err, question)
	answer, err := bufio.NewReader(io.LimitReader(os.Stdin, 1024)).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	switch {
	case answer == "y" || answer == "yes":
		return nil
	case err != nil:
		return errors.New("nobody has answered on standard input; --yes does it without asking")
	}
	return errors.New("the answer was not yes")
}
