package console

import (
	"cmp"
	"net/http"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// Chatflow is a chatflow as the key file has it.
type Chatflow struct {
	ID     string   `json:"id"` // "*" for all
	Name   string   `json:"name,omitempty"`
	Public bool     `json:"public"`
	Keys   []string `json:"keys"` // IDs of those that it lists
}

// ChatflowList is some of the chatflows, in the order of the key file.
type ChatflowList struct {
	Total     int        `json:"total"`
	Matching  int        `json:"matching"` // the filter
	Chatflows []Chatflow `json:"chatflows"`
}

// NewChatflow is a chatflow to list: with keys, or public.
type NewChatflow struct {
	ID     string   `json:"id"` // or an address of Flowise
	Name   string   `json:"name,omitempty"`
	Keys   []string `json:"keys,omitempty"`
	Public bool     `json:"public,omitempty"`
	// File is the name of the file that gets it, if --keys names a directory.
	File string `json:"file,omitempty"`
}

// PrivateChatflow makes a public chatflow private.
type PrivateChatflow struct {
	// Close removes the entry of a chatflow that lists no key. Without Close, the change of such a chatflow is refused.
	Close bool `json:"close,omitempty"`
}

func (c *Console) showChatflows(r *http.Request, f *file) (any, *Problem) {
	p, problem := parsePage(r.URL.Query(), 100)
	if problem != nil {
		return nil, problem
	}
	return c.chatflows(f, p), nil
}

func (c *Console) chatflows(f *file, p page) ChatflowList {
	all := f.snapshot.Chatflows()
	shown, matching := choose(p, all, func(c *keystore.Chatflow) []string { return []string{c.ID, c.Name} })
	list := ChatflowList{Total: len(all), Matching: matching, Chatflows: []Chatflow{}}
	for _, chatflow := range shown {
		list.Chatflows = append(list.Chatflows, chatflowOf(chatflow))
	}
	return list
}

func chatflowOf(chatflow *keystore.Chatflow) Chatflow {
	shown := Chatflow{ID: chatflow.ID, Name: chatflow.Name, Public: chatflow.Public, Keys: []string{}}
	for _, k := range chatflow.Keys() {
		shown.Keys = append(shown.Keys, k.ID)
	}
	return shown
}

// chatflow finds a chatflow of the file.
func (f *file) chatflow(id string) (*keystore.Chatflow, *Problem) {
	chatflow, err := f.snapshot.EntryNamed(id)
	if err != nil {
		return nil, newProblem(notFound, err.Error())
	}
	return chatflow, nil
}

func (c *Console) addChatflow(f *file, _ string, n *NewChatflow) (change, *Problem) {
	id, p := c.chatflowID(f, n.ID)
	if p != nil {
		return change{}, p
	}
	place, p := c.place(f, n.File)
	if p != nil {
		return change{}, p
	}
	added := edit.NewChatflow{ID: id, Name: cmp.Or(n.Name, c.upstream.nameOf(id)), Keys: n.Keys, Public: n.Public}
	elsewhere := f.keysElsewhere(place, n.Keys)
	return change{action: "list", chatflows: []string{id}, edits: []fileEdit{{place, func(data []byte) ([]byte, error) {
		return edit.Add(place, data, edit.Additions{Chatflows: []edit.NewChatflow{added}, KeysElsewhere: elsewhere})
	}}}}, nil
}

func (c *Console) makePublic(f *file, id string) (change, *Problem) {
	return ofChatflow(f, "make public", id, edit.PublishChatflow)
}

func (c *Console) makePrivate(f *file, id string, ask *PrivateChatflow) (change, *Problem) {
	return ofChatflow(f, "make private", id, func(file string, data []byte, id string) ([]byte, error) {
		return edit.UnpublishChatflow(file, data, id, ask.Close)
	})
}

// ofChatflow returns a change of the entry of a chatflow.
func ofChatflow(f *file, action, id string, do func(file string, data []byte, id string) ([]byte, error)) (change, *Problem) {
	entry, p := f.chatflow(id)
	if p != nil {
		return change{}, p
	}
	return change{action: action, chatflows: []string{id}, edits: []fileEdit{{entry.File(), func(data []byte) ([]byte, error) { return do(entry.File(), data, id) }}}}, nil
}
