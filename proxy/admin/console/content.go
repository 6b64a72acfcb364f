package console

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// How much of long lists a page shows.
const (
	rowsShown    = 100 // of a table
	choicesShown = 200 // chatflows or keys to pick
)

// overview is the first page: the keys and the chatflows that the filter lets through.
type overview struct {
	Filter                  string
	Keys                    KeyList
	Chatflows               ChatflowList
	KeyPages, ChatflowPages pages
	states

	file *file
}

// Label returns what the file calls a chatflow.
func (o overview) Label(id string) string { return o.file.label(id) }

func (f *file) label(id string) string {
	switch entry := f.snapshot.Entry(id); {
	case id == keystore.EveryChatflow:
		return "every chatflow"
	case entry != nil:
		return visible(entry.Label())
	}
	return id
}

// pages are the addresses of the parts of a list before and after the one that is shown; empty if there is none.
type pages struct{ Earlier, Later string }

// pagesOf returns the addresses for the list whose offset has this name in the query.
func pagesOf(q url.Values, name string, offset, matching int) (p pages) {
	to := func(offset int) string {
		other := maps.Clone(q)
		other.Set(name, strconv.Itoa(offset))
		return "./?" + other.Encode()
	}
	if offset > 0 {
		p.Earlier = to(max(0, offset-rowsShown))
	}
	if offset+rowsShown < matching {
		p.Later = to(offset + rowsShown)
	}
	return p
}

func (c *Console) overview(f *file, r *http.Request) (shown, *Problem) {
	q := r.URL.Query()
	part := func(name string) page {
		offset, _ := strconv.Atoi(q.Get(name)) // anything but a number means the beginning
		return page{filter: strings.ToLower(strings.TrimSpace(q.Get("filter"))), offset: max(0, offset), limit: rowsShown}
	}
	o := overview{Filter: q.Get("filter"), file: f}
	keys, chatflows := part("keys"), part("chatflows")
	o.Keys, o.Chatflows = c.keys(f, keys), c.chatflows(f, chatflows)
	var shownIDs []string
	for _, chatflow := range o.Chatflows.Chatflows {
		shownIDs = append(shownIDs, chatflow.ID)
	}
	o.states = c.statesOf(f, shownIDs...)
	o.KeyPages = pagesOf(q, "keys", keys.offset, o.Keys.Matching)
	o.ChatflowPages = pagesOf(q, "chatflows", chatflows.offset, o.Chatflows.Matching)
	return shown{"overview.html", "Keys and chatflows", o}, nil
}

// choice is a chatflow that can be picked.
type choice struct {
	ID, Name string
	Chosen   bool
}

// chooser is the part of a form in which chatflows are picked or pasted.
type chooser struct {
	ChooseTitle string
	Choices     []choice
	MoreChoices int
	Unlisted    []choice // that Flowise has, and the key file does not
	Fault       string   // why Flowise cannot be asked
	Pasted      string
}

// chooser offers the chatflows of the file, except those for which but returns true, and those of Flowise. What r has
// chosen stays chosen.
func (c *Console) chooser(f *file, title string, r *http.Request, but func(*keystore.Chatflow) bool) chooser {
	chosen := append(append([]string{}, r.URL.Query()["chatflow"]...), r.PostForm["chatflow"]...)
	ch := chooser{ChooseTitle: title, Pasted: r.PostForm.Get("pasted")}
	for _, entry := range f.snapshot.Chatflows() {
		if but != nil && but(entry) {
			continue
		}
		one := choice{entry.ID, entry.Name, slices.Contains(chosen, entry.ID)}
		if len(ch.Choices) >= choicesShown && !one.Chosen {
			ch.MoreChoices++
			continue
		}
		ch.Choices = append(ch.Choices, one)
	}
	ch.Unlisted, ch.Fault = c.unlisted(f, chosen)
	for _, id := range r.URL.Query()["chatflow"] { // from a link; the chatflow may not be listed yet
		if f.snapshot.Entry(id) == nil && !slices.ContainsFunc(ch.Unlisted, func(one choice) bool { return one.ID == id }) {
			ch.Pasted = strings.TrimSpace(ch.Pasted + "\n" + id)
		}
	}
	return ch
}

// unlisted returns the chatflows that Flowise has and the key file does not, or why it cannot be asked.
func (c *Console) unlisted(f *file, chosen []string) (choices []choice, fault string) {
	found, err := c.upstream.list()
	if err != nil {
		fault = err.Error()
	}
	for _, one := range found {
		if f.snapshot.Entry(one.ID) == nil && len(choices) < choicesShown && c.accepts(one.ID) {
			choices = append(choices, choice{one.ID, one.Name, slices.Contains(chosen, one.ID)})
		}
	}
	return choices, fault
}

// opened is a chatflow that a key opens. Only says that no other key does, and that it is not public.
type opened struct {
	ID, Name string
	Only     bool
}

// idOf returns the ID of what a page, or a form on it, is about.
func idOf(r *http.Request) string {
	if r.Method == http.MethodPost {
		return r.PostFormValue("id")
	}
	return r.URL.Query().Get("id")
}

// keyPage is about one key.
type keyPage struct {
	Key
	FromFlowise bool
	// HasEnded says that the key itself has expired, and not only its secrets.
	HasEnded bool
	Opens    []opened
	Only     []opened // those of Opens that no other key opens
	// OpensEvery says that the key is listed under "*", and under others as well.
	OpensEvery  bool
	CutsStreams bool // whether streams of a key that is disabled are cut
	chooser
}

func (c *Console) keyPage(f *file, r *http.Request) (shown, *Problem) {
	id := idOf(r)
	k, p := f.key(id)
	if p != nil {
		return shown{}, p
	}
	end := k.OwnNotAfter()
	page := keyPage{Key: c.key(f, k), FromFlowise: k.FromFlowise(), HasEnded: !end.IsZero() && !end.After(c.proxy.Now()), CutsStreams: c.opts.CutRevoked}
	page.OpensEvery = len(page.Chatflows) > 1 && slices.Contains(page.Chatflows, keystore.EveryChatflow)
	for _, chatflow := range page.Chatflows {
		entry := f.snapshot.Entry(chatflow)
		o := opened{chatflow, entry.Name, len(entry.Keys()) == 1 && !entry.Public}
		page.Opens = append(page.Opens, o)
		if o.Only {
			page.Only = append(page.Only, o)
		}
	}
	page.chooser = c.chooser(f, "Open more chatflows", r, func(entry *keystore.Chatflow) bool { return entry.Lists(k) })
	return shown{"key.html", "Key " + k.ID, page}, nil
}

// places are the key files of a directory, one of which gets what is new; none if there is no directory.
type places struct {
	Files []string
	File  string // the one that was chosen
}

func (f *file) places(r *http.Request) places {
	p := places{File: r.PostForm.Get("file")}
	if f.snapshot.IsDirectory() {
		for path := range f.versions {
			p.Files = append(p.Files, filepath.Base(path))
		}
		slices.Sort(p.Files)
	}
	return p
}

// newKeyPage is the form for a new key, with what was filled in already.
type newKeyPage struct {
	Form url.Values
	chooser
	places
}

// HasLimits reports whether a limit was filled in.
func (p newKeyPage) HasLimits() bool {
	return slices.ContainsFunc([]string{"requests", "concurrent", "stream", "stream_seconds", "bytes"}, func(name string) bool { return p.Form.Get(name) != "" })
}

func (c *Console) newKeyPage(f *file, r *http.Request) (shown, *Problem) {
	_ = r.ParseForm() // a form that cannot be parsed is empty
	return shown{"new-key.html", "New key", newKeyPage{r.PostForm, c.chooser(f, "Chatflows that it opens", r, nil), f.places(r)}}, nil
}

// chatflowPage is about one chatflow.
type chatflowPage struct {
	Chatflow
	Others []string // keys that it does not list
	Every  []string // keys that open every chatflow, including this one; none if this is the entry for every chatflow
	states
}

func (c *Console) chatflowPage(f *file, r *http.Request) (shown, *Problem) {
	id := idOf(r)
	entry, p := f.chatflow(id)
	if p != nil {
		return shown{}, p
	}
	page := chatflowPage{Chatflow: chatflowOf(entry), states: c.statesOf(f, id, keystore.EveryChatflow)}
	title := "Every chatflow"
	if id != keystore.EveryChatflow {
		page.Every, title = f.everyKeys(), "Chatflow "+f.label(id)
	}
	for _, k := range f.snapshot.Keys() {
		if len(page.Others) < choicesShown && !entry.Lists(k) {
			page.Others = append(page.Others, k.ID)
		}
	}
	return shown{"chatflow.html", title, page}, nil
}

// newChatflowPage is the form for listing a chatflow, with what was filled in already.
type newChatflowPage struct {
	ID       string
	Form     url.Values
	Unlisted []choice // that Flowise has
	places
}

func (c *Console) newChatflowPage(f *file, r *http.Request) (shown, *Problem) {
	_ = r.ParseForm() // a form that cannot be parsed is empty
	p := newChatflowPage{ID: cmp.Or(r.PostForm.Get("id"), r.URL.Query().Get("id")), Form: r.PostForm, places: f.places(r)}
	p.Unlisted, _ = c.unlisted(f, nil)
	return shown{"new-chatflow.html", "List a chatflow", p}, nil
}
