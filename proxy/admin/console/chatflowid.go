package console

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// chatflowIDs returns the IDs of the chatflows that texts name: by ID, by the name in the key file or in Flowise, or by
// the address of the chatflow's page in Flowise. Each is returned once.
func (c *Console) chatflowIDs(f *file, texts []string) (ids []string, _ *Problem) {
	for _, text := range texts {
		id, p := c.chatflowID(f, strings.TrimSpace(text))
		if p != nil {
			return nil, p
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// chatflowID returns the ID that text means.
func (c *Console) chatflowID(f *file, text string) (string, *Problem) {
	if text == keystore.EveryChatflow || f.snapshot.Entry(text) != nil || c.accepts(text) {
		return text, nil
	}
	named := f.snapshot.ChatflowsNamed(text)
	if len(named) == 0 && text != "" {
		named = c.upstream.named(text)
	}
	if len(named) == 1 {
		return named[0], nil
	}
	if len(named) > 1 {
		return "", newProblem(refused, fmt.Sprintf("several chatflows have the name %.100q; give the ID of the one that is meant", text))
	}
	if id := keystore.UUIDIn(text); id != "" && c.accepts(id) {
		return id, nil
	}
	if keystore.LooksLikeSecret(text) {
		return "", newProblem(refused, "this looks like the secret of a key; give the ID or the name of a chatflow")
	}
	p := c.opts.Preset
	return "", newProblem(refused, fmt.Sprintf("%.100q is neither the name of a chatflow in the key file nor the ID of one; the IDs of %s are %s", text, p.Runner, p.IDs))
}

// accepts reports whether a route takes a chatflow ID.
func (c *Console) accepts(id string) bool {
	return keystore.ValidateID(id) == nil && slices.ContainsFunc(c.opts.Routes, func(r *route.Route) bool { return r.AcceptsID(id) })
}
