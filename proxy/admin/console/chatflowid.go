package console

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// chatflowIDs returns the IDs of the chatflows that people mean: by ID, by the name that the key file has for it, or by the
// address of its page in Flowise. Each is returned once.
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
	var named []string
	for _, chatflow := range f.snapshot.Chatflows() {
		if chatflow.Name == text && text != "" && chatflow.ID != keystore.EveryChatflow { // which must be asked for by itself
			named = append(named, chatflow.ID)
		}
	}
	if len(named) == 0 && text != "" {
		named = c.upstream.named(text)
	}
	if len(named) == 1 {
		return named[0], nil
	}
	if len(named) > 1 {
		return "", newProblem(refused, fmt.Sprintf("several chatflows have the name %.100q; give the ID of the one that is meant", text))
	}
	if id := idIn(text); id != "" && c.accepts(id) {
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

var uuid = regexp.MustCompile(`(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)

// idIn returns the UUID, in lower case, that a text is or that an address has, if it has no other.
func idIn(text string) string {
	found := uuid.FindAllString(text, -1)
	if len(found) != 1 || found[0] != text && !strings.Contains(text, "/") {
		return ""
	}
	return strings.ToLower(found[0])
}
