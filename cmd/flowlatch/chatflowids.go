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

// chatflowIDs returns the IDs of the chatflows that people mean by the values of --chatflow: IDs, names of the key file, IDs
// in capitals or in a URL, several of these with commas between. It prints how it understood what is not an ID. An ID that no
// route takes is an error; if nobody said what kind of upstream there is, it is a warning.
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

// chatflowID returns the ID that text means, and a note if text is not exactly that.
func chatflowID(text string, c *config.Config, file func() *keystore.Snapshot) (id, note string, err error) {
	if text == keystore.EveryChatflow || acceptsID(c, text) {
		return text, "", nil
	}
	named, err := onlyChatflowNamed(text, file())
	if err != nil {
		return "", "", err
	}
	if named != "" {
		return named, fmt.Sprintf("%q is the name of chatflow %s", text, named), nil
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

// listedChatflows is chatflowIDs for chatflows that the key file lists.
func listedChatflows(values []string, c *config.Config, keys []byte, notes io.Writer) (ids []string, err error) {
	s, err := edit.Parse(c.Keys, keys)
	if err != nil { // the edit reports the fault
		return nil, nil //nolint:nilerr // as the comment says
	}
	var errs []error
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			text = strings.TrimSpace(text)
			named, err := onlyChatflowNamed(text, s)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			id := cmp.Or(named, keystore.UUIDIn(text), text)
			if s.Entry(text) != nil {
				id = text
			}
			if _, err := s.EntryNamed(id); err != nil {
				errs = append(errs, fmt.Errorf("--chatflow: %s: %w", c.Keys, err))
				continue
			}
			if id != text {
				fmt.Fprintf(notes, "taking %q for chatflow %s\n", text, id)
			}
			ids = append(ids, id)
		}
	}
	return ids, errors.Join(errs...)
}

func acceptsID(c *config.Config, id string) bool {
	return slices.ContainsFunc(c.Proxy.Routes, func(r *route.Route) bool { return r.AcceptsID(id) })
}

// onlyChatflowNamed returns the ID of the one chatflow of a snapshot that has a name, or nothing if that is the ID of one. Several
// are an error.
func onlyChatflowNamed(name string, s *keystore.Snapshot) (id string, _ error) {
	if s.Entry(name) != nil {
		return "", nil
	}
	switch ids := s.ChatflowsNamed(name); len(ids) {
	case 0:
		return "", nil
	case 1:
		return ids[0], nil
	default:
		return "", fmt.Errorf("--chatflow: several chatflows have the name %q (%s, %s); give the ID of the one that is meant", name, ids[0], ids[1])
	}
}
