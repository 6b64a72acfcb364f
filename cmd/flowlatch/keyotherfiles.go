package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// In a directory of key files, a chatflow may be in another file than the keys that open it. Its list of keys is edited
// there.

// otherEdit is an edit of the chatflows' key lists in a file other than the key's own.
type otherEdit struct {
	path      string
	chatflows []string // their IDs
	do        edit.Func
}

// listEdit changes which chatflows list a key.
type listEdit struct {
	verb  string                                            // completes "the key is … for chatflows"
	own   func(chatflows []string) (done string, err error) // edits the file that has the key, and prints what it has done
	other func(o otherEdit, data []byte) ([]byte, error)
}

// editLists adds the key to the lists of chatflows, or removes it from them, each in the file that has the chatflow.
func (k *keyEdit) editLists(id string, chatflows []string, c *config.Config, s streams, e listEdit) error {
	if err := k.inDirectory(c, id); err != nil {
		return err
	}
	own, others, err := k.divide(chatflows, c, s.err)
	if err != nil {
		return err
	}
	if err := k.tryOthers(others, len(own) > 0, e.other); err != nil {
		return err
	}
	done := ""
	if len(own) > 0 || others == nil {
		if done, err = e.own(own); err != nil {
			return err
		}
	}
	return k.editOthers(others, id, e.verb, done, s)
}

// divide divides the values of --chatflow into those for the key's own file, which include chatflows that are in no
// file yet, and the chatflows of other files. If it finds one of the latter by something else than its ID, it prints
// which one.
func (k *keyEdit) divide(values []string, c *config.Config, notes io.Writer) (own []string, others []otherEdit, err error) {
	if k.directory == "" {
		return values, nil, nil
	}
	all, err := k.chatflows(c)
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			text = strings.TrimSpace(text)
			switch meant, err := meantChatflow(text, all); {
			case err != nil:
				errs = append(errs, err)
			case meant != nil && meant.File() != c.Keys:
				if meant.ID != text {
					fmt.Fprintf(notes, "taking %q for chatflow %s\n", text, meant.ID)
				}
				others = addOther(others, meant)
			default:
				own = append(own, text)
			}
		}
	}
	return own, others, errors.Join(errs...)
}

// chatflows returns the chatflows of the key file, or of all files in the directory if --keys names one.
func (k *keyEdit) chatflows(c *config.Config) ([]*keystore.Chatflow, error) {
	if k.directory != "" {
		return keystore.ChatflowsIn(k.directory)
	}
	data, err := edit.Read(c.Keys)
	if err != nil {
		return nil, err
	}
	s, err := edit.Parse(c.Keys, data)
	if err != nil {
		return nil, err
	}
	return s.Chatflows(), nil
}

// addOther adds a chatflow to the edit of its file.
func addOther(others []otherEdit, c *keystore.Chatflow) []otherEdit {
	for i := range others {
		if others[i].path == c.File() {
			others[i].chatflows = append(others[i].chatflows, c.ID)
			return others
		}
	}
	return append(others, otherEdit{path: c.File(), chatflows: []string{c.ID}})
}

// listing returns the chatflows that list the key and are in other files than its own.
func (k *keyEdit) listing(id string, c *config.Config) (others []otherEdit, err error) {
	all, err := k.chatflows(c)
	for _, chatflow := range all {
		if chatflow.File() != c.Keys && chatflow.ListsID(id) {
			others = addOther(others, chatflow)
		}
	}
	return others, err
}

// tryOthers sets the do field of each of others, and tries that edit in memory, so that an edit that would fail is
// found before any file is changed. more says that the key's own file changes as well.
func (k *keyEdit) tryOthers(others []otherEdit, more bool, do func(o otherEdit, data []byte) ([]byte, error)) error {
	if k.Stdout && (len(others) > 1 || more && len(others) > 0) {
		return usageError{errors.New("--stdout: this is a change of several key files, and one can be printed; name chatflows of one file at a time")}
	}
	for i := range others {
		o := others[i]
		others[i].do = func(data []byte) ([]byte, error) { return do(o, data) }
		if err := edit.Try(o.path, others[i].do); err != nil {
			return err
		}
	}
	return nil
}

// editOthers edits the other files, one after the other. done says what was done before, for the error message if an
// edit fails.
func (k *keyEdit) editOthers(others []otherEdit, id, verb, done string, s streams) error {
	for _, o := range others {
		var e effect
		err := k.edit(o.path, s, e.of(o.path, o.do))
		switch {
		case err != nil && done != "":
			return fmt.Errorf("%w\n%s; %s is as it was, and the rest is not done", err, done, o.path)
		case err != nil:
			return err
		case k.Stdout:
			continue
		}
		done = fmt.Sprintf("key %q is %s for %s in %s", id, verb, few(o.chatflows), o.path)
		fmt.Fprintln(s.err, done)
		e.tellClosed(s)
	}
	return nil
}
