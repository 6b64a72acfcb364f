package flowise

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
)

// ErrNothingOpen is returned with a conversion that opens no chatflow: a key file cannot say that.
var ErrNothingOpen = errors.New("no chatflow would be open, so there is no key file to write")

// Conversion is a key file made of what a Flowise has, and what there is to say about it.
type Conversion struct {
	// Text is the key file.
	Text []byte

	source      *Installation
	public      bool    // chatflows without a key stay open
	keys        []*key  // those that open something first
	unused      []*key  // those that open nothing
	secretless  []*key  // those that Flowise lists without a secret
	keyed       []*flow // have a key
	open        []*flow // have none
	orphaned    []*flow // have one that is not there
	uncallable  []*flow // whose ID is no lower-case UUID
	duplicateOf map[*key]*key
}

type key struct {
	Key
	id     string // in the key file
	digest keystore.Digest
	opens  []*flow
}

type flow struct {
	Chatflow
	label string // in the key file, may be empty
	key   *key
}

// callable is what the routes of the gate take for a chatflow's ID.
var callable = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Convert turns what a Flowise has into a key file: the same keys, as digests, for the same
// chatflows. Chatflows that have no key there are closed, or open to all if publicStaysPublic. file
// is the name to use in errors. What it returns was read back and says what it should; if nothing
// would be open, that is [ErrNothingOpen] beside a conversion to report on.
func Convert(source *Installation, file string, publicStaysPublic bool) (*Conversion, error) {
	c := &Conversion{source: source, public: publicStaysPublic, duplicateOf: map[*key]*key{}}
	c.sort(c.takeKeys())
	if len(c.keyed) == 0 && (len(c.open) == 0 || !c.public) {
		return c, ErrNothingOpen
	}
	c.Text = c.write()
	return c, c.verify(file)
}

// takeKeys gives every key an ID and returns them by the ID that Flowise knows them by. The order is
// that of names, so that the same Flowise makes the same file.
func (c *Conversion) takeKeys() map[string]*key {
	ids := taken{}
	byID, byDigest := map[string]*key{}, map[keystore.Digest]*key{}
	for _, k := range sortedKeys(c.source.Keys) {
		if byID[k.ID] != nil {
			continue
		}
		entry := &key{Key: k, digest: keystore.DigestOf(k.Secret)}
		if k.Secret == "" {
			c.secretless = append(c.secretless, entry)
			continue
		}
		if first := byDigest[entry.digest]; first != nil { // in the key file a secret belongs to one key
			c.duplicateOf[entry] = first
			byID[k.ID] = first
			continue
		}
		entry.id = ids.name(keyID(k.Name), "%s-%d")
		byID[k.ID], byDigest[entry.digest] = entry, entry
		c.keys = append(c.keys, entry)
	}
	return byID
}

// sort puts every chatflow where it belongs.
func (c *Conversion) sort(keys map[string]*key) {
	sorted := sortedChatflows(c.source.Chatflows)
	seen, labels := map[string]bool{}, taken{}
	for _, f := range sorted { // a chatflow without a name goes by its ID
		labels[f.ID] = 1
	}
	for _, f := range sorted {
		if seen[f.ID] {
			continue
		}
		seen[f.ID] = true
		entry := &flow{Chatflow: f, key: keys[f.KeyID]}
		switch {
		case !callable.MatchString(f.ID):
			c.uncallable = append(c.uncallable, entry)
			continue
		case f.KeyID == "":
			c.open = append(c.open, entry)
		case entry.key == nil:
			c.orphaned = append(c.orphaned, entry)
			continue
		default:
			c.keyed = append(c.keyed, entry)
			entry.key.opens = append(entry.key.opens, entry)
		}
		if name := printable(f.Name); name != "" {
			entry.label = labels.name(name, "%s (%d)")
		}
	}
	used := make([]*key, 0, len(c.keys))
	for _, k := range c.keys {
		if len(k.opens) > 0 {
			used = append(used, k)
		} else {
			c.unused = append(c.unused, k)
		}
	}
	c.keys = used
}

func sortedKeys(keys []Key) []Key {
	return slices.SortedStableFunc(slices.Values(keys), func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

func sortedChatflows(chatflows []Chatflow) []Chatflow {
	return slices.SortedStableFunc(slices.Values(chatflows), func(a, b Chatflow) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

// write writes the key file.
func (c *Conversion) write() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The keys of %s, taken over by flowlatch import.\n\nversion: 1\n", c.source.title())
	if len(c.keys) > 0 {
		b.WriteString("keys:\n")
	}
	for _, k := range c.keys {
		fmt.Fprintf(&b, "  - id: %s%s\n    sha256: %s\n", k.id, k.comment(), k.digest)
	}
	b.WriteString("chatflows:\n")
	for _, f := range c.keyed {
		f.write(&b)
		fmt.Fprintf(&b, "    keys: [%s]\n    upstream_authorization: forward  # while it has a key in Flowise too\n", f.key.id)
	}
	if c.public {
		for _, f := range c.open {
			f.write(&b)
			b.WriteString("    public: true\n")
		}
	} else {
		listed(&b, c.open, "Closed: these have no key in Flowise, where anyone could call them. To open one:\n# flowlatch key new --id NAME --chatflow ID")
	}
	listed(&b, c.orphaned, "Closed, as in Flowise: the key that these name there is deleted, or was not shown.")
	listed(&b, c.uncallable, "Closed: these have an ID that is no lower-case UUID, and only such IDs pass the gate.")
	if len(c.unused) > 0 {
		b.WriteString("\n# Keys that open no chatflow in Flowise. To use one, list it under `keys:` and name it in a chatflow:\n")
		for _, k := range c.unused {
			fmt.Fprintf(&b, "#  - id: %s%s\n#    sha256: %s\n", k.id, k.comment(), k.digest)
		}
	}
	return b.Bytes()
}

// comment tells the key's name in Flowise where its ID is another.
func (k *key) comment() string {
	if k.id == k.Name {
		return ""
	}
	return "  # in Flowise " + quoted(k.Name)
}

func (f *flow) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "  - id: %s\n", f.ID)
	if f.label != "" {
		fmt.Fprintf(b, "    name: %s\n", scalar(f.label))
	}
}

// listed writes chatflows into a comment.
func listed(b *bytes.Buffer, flows []*flow, title string) {
	if len(flows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n# %s\n", title)
	for _, f := range flows {
		fmt.Fprintf(b, "#   %s\n", f)
	}
}

// String returns the chatflow as people are told of it.
func (f *flow) String() string {
	id := f.ID
	if !callable.MatchString(id) {
		id = quoted(id)
	}
	if f.Name == "" {
		return id
	}
	return id + "  " + quoted(f.Name)
}

// verify reads the file back: it must be valid and say neither more nor less than it should.
func (c *Conversion) verify(file string) error {
	s, err := keystore.Parse(file, c.Text)
	if err != nil {
		return fmt.Errorf("the key file made of %s would not be valid, and is not written:\n%w", c.source.title(), err)
	}
	want := len(c.keyed)
	ok := len(s.Keys()) == len(c.keys)
	for _, f := range c.keyed {
		entry, found := s.Chatflow(f.ID)
		ok = ok && found && !entry.Public && entry.Name == f.label && len(entry.Keys()) == 1 && entry.Keys()[0].ID == f.key.id &&
			entry.Keys()[0].Secrets()[0].Digest == f.key.digest && entry.UpstreamAuthorization.Mode == keystore.UpstreamForward
	}
	if c.public {
		want += len(c.open)
		for _, f := range c.open {
			entry, found := s.Chatflow(f.ID)
			ok = ok && found && entry.Public && entry.Name == f.label && len(entry.Keys()) == 0
		}
	}
	if !ok || len(s.Chatflows()) != want {
		return fmt.Errorf("the key file made of %s would not open the same chatflows, and is not written; a name in it may be the cause", c.source.title())
	}
	return nil
}
