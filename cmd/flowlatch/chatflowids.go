package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// chatflowIDs returns the chatflow IDs meant by the values of --chatflow. A value is an ID, a name in the key file, an
// ID in capitals or in a URL, or several of these separated by commas. If a value is not an ID, chatflowIDs prints how
// it understood it. An ID that no route takes is an error; if --preset was not set, it is only a warning.
func chatflowIDs(values []string, c *config.Config, keys []byte, notes io.Writer) (ids []string, err error) {
	file := sync.OnceValue(func() *keystore.Snapshot {
		s, err := keystore.ParsePart(c.Keys, keys)
		if err != nil {
			return new(keystore.Snapshot) // the edit reports the fault
		}
		return s
	})
	var errs []error
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") { // no ID has a comma
			id, note, err := chatflowID(strings.TrimSpace(text), c, file)
			ids, errs = append(ids, id), append(errs, err)
			if note != "" {
				fmt.Fprintln(notes, note)
			}
		}
	}
	return ids, errors.Join(errs...)
}

// chatflowID returns the ID that text means. If there is something to say about that, it also returns a note or a
// warning.
func chatflowID(text string, c *config.Config, file func() *keystore.Snapshot) (id, note string, err error) {
	if text == keystore.EveryChatflow || acceptsID(c, text) {
		return text, "", nil
	}
	switch meant, err := meantChatflow(text, file().Chatflows()); {
	case err != nil:
		return "", "", err
	case meant != nil && meant.ID != text && meant.IsNamed(text):
		return meant.ID, fmt.Sprintf("%q is the name of chatflow %s", text, meant.ID), nil
	}
	if id := keystore.UUIDIn(text); id != "" {
		return id, fmt.Sprintf("taking %q for chatflow %s", text, id), nil
	}
	if keystore.LooksLikeSecret(text) {
		return "", "", errors.New("--chatflow: this looks like the secret of a key; give the chatflow's ID")
	}
	if strings.Contains(text, "/") {
		return "", "", fmt.Errorf("--chatflow: %.60q is a URL or a path in which no single ID can be told; give the ID alone", text)
	}
	p, guess := c.Proxy.Preset, ""
	if s := file(); s.Entry(text) == nil {
		guess = s.NearChatflow(text)
	}
	if err := keystore.ValidateID(text); err != nil {
		return "", "", fmt.Errorf("chatflow ID %w; the chatflow IDs of %s are %s%s", err, p.Runner, p.IDs, guess)
	}
	why := fmt.Sprintf("no route of %s takes a chatflow ID like %q: its IDs are %s", p.Runner, text, p.IDs)
	if c.Given("preset") {
		return "", "", fmt.Errorf("--chatflow: %s; give the chatflow's ID, not its name%s", why, guess)
	}
	return text, fmt.Sprintf("warning: %s; name the upstream with --preset if it is another, otherwise this key opens nothing%s", why, guess), nil
}

// listedChatflows is like chatflowIDs, but every chatflow must be in the key file.
func listedChatflows(values []string, c *config.Config, keys []byte, notes io.Writer) (ids []string, err error) {
	s, err := edit.Parse(c.Keys, keys)
	if err != nil { // the edit reports the fault
		return nil, nil //nolint:nilerr // as the comment says
	}
	var errs []error
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			text = strings.TrimSpace(text)
			meant, err := meantChatflow(text, s.Chatflows())
			switch {
			case err != nil:
				errs = append(errs, err)
				continue
			case meant == nil:
				_, err = s.EntryNamed(cmp.Or(keystore.UUIDIn(text), text)) // says which was perhaps meant
				errs = append(errs, fmt.Errorf("--chatflow: %s: %w", c.Keys, err))
				continue
			case meant.ID != text:
				fmt.Fprintf(notes, "taking %q for chatflow %s\n", text, meant.ID)
			}
			ids = append(ids, meant.ID)
		}
	}
	return ids, errors.Join(errs...)
}

func acceptsID(c *config.Config, id string) bool {
	return slices.ContainsFunc(c.Proxy.Routes, func(r *route.Route) bool { return r.AcceptsID(id) })
}

// meantChatflow returns the chatflow that a text names by ID, or else by name, or else by an address; nil if none is. Several are
// an error.
func meantChatflow(text string, all []*keystore.Chatflow) (*keystore.Chatflow, error) {
	id := keystore.UUIDIn(text)
	for _, names := range []func(*keystore.Chatflow) bool{
		func(c *keystore.Chatflow) bool { return c.ID == text },
		func(c *keystore.Chatflow) bool { return c.IsNamed(text) },
		func(c *keystore.Chatflow) bool { return c.ID == id },
	} {
		found := slices.DeleteFunc(slices.Clone(all), func(c *keystore.Chatflow) bool { return !names(c) })
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1 && found[0].File() == found[1].File():
			return nil, fmt.Errorf("--chatflow: several chatflows have the name %q (%s, %s); give the ID of the one that is meant", text, found[0].ID, found[1].ID)
		case len(found) > 1:
			return nil, fmt.Errorf("--chatflow: several chatflows have the name %q (%s in %s, %s in %s); give the ID of the one that is meant",
				text, found[0].ID, found[0].File(), found[1].ID, found[1].File())
		}
	}
	return nil, nil
}
