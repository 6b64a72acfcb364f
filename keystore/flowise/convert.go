package flowise

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
)

// ErrNothingOpen is returned with a conversion that opens no chatflow. A key file cannot say that.
var ErrNothingOpen = errors.New("no chatflow would be open, so there is no key file to write")

// Conversion is the key file for a Flowise, and what there is to report about it.
type Conversion struct {
	// Text is the key file.
	Text []byte

	source     *Installation
	public     bool    // chatflows without a key stay public
	keys       []*key  // that open something
	unused     []*key  // that open nothing
	secretless []*key  // that Flowise lists without a secret
	duplicates []*key  // that have the secret of another, and get its ID in the key file
	keyed      []*flow // with a key
	open       []*flow // without a key
	orphaned   []*flow // with a key that does not exist
	uncallable []*flow // with an ID that is no lower-case UUID
}

type key struct {
	Key
	id     string // in the key file
	digest keystore.Digest
	opens  bool // a chatflow
}

type flow struct {
	Chatflow
	label string // in the key file, may be empty
	key   *key
}

// callable matches what the routes of the gate accept as the ID of a chatflow.
var callable = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Convert turns what a Flowise has into a key file: the same keys, as digests, for the same chatflows. Chatflows that
// have no key in Flowise are closed, or public if publicStaysPublic. file is the name to use in errors. The text is
// parsed again, to be sure that it means what it should. If nothing would be open, the error is [ErrNothingOpen], with a
// conversion to report on.
func Convert(source *Installation, file string, publicStaysPublic bool) (*Conversion, error) {
	c := &Conversion{source: source, public: publicStaysPublic}
	c.sort(c.takeKeys())
	if len(c.keyed) == 0 && (len(c.open) == 0 || !c.public) {
		return c, ErrNothingOpen
	}
	c.Text = c.write()
	return c, c.verify(file)
}

// takeKeys gives every key an ID and returns the keys by the ID that they have in Flowise. They are sorted by name, so that
// the same Flowise makes the same file.
func (c *Conversion) takeKeys() map[string]*key {
	ids := taken{}
	byID, byDigest := map[string]*key{}, map[keystore.Digest]*key{}
	for _, k := range sorted(c.source.Keys, func(k Key) []string { return []string{k.Name, k.ID} }) {
		if byID[k.ID] != nil {
			continue
		}
		entry := &key{Key: k, digest: keystore.DigestOf(k.Secret)}
		if k.Secret == "" {
			c.secretless = append(c.secretless, entry)
			continue
		}
		if first := byDigest[entry.digest]; first != nil { // in the key file a secret belongs to one key
			entry.id, byID[k.ID] = first.id, first
			c.duplicates = append(c.duplicates, entry)
			continue
		}
		entry.id = ids.name(keyID(k.Name), "%s-%d")
		byID[k.ID], byDigest[entry.digest] = entry, entry
		c.keys = append(c.keys, entry)
	}
	return byID
}

// sort puts every chatflow into one of the lists of c, and keys that open none into unused.
func (c *Conversion) sort(keys map[string]*key) {
	chatflows := sorted(c.source.Chatflows, func(f Chatflow) []string { return []string{f.Name, f.ID} })
	seen, labels := map[string]bool{}, taken{}
	for _, f := range chatflows { // the label of a chatflow without a name is its ID
		labels[f.ID] = 1
	}
	for _, f := range chatflows {
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
			entry.key.opens = true
		}
		if name := printable(f.Name); name != "" {
			entry.label = labels.name(name, "%s (%d)")
		}
	}
	c.unused = slices.DeleteFunc(slices.Clone(c.keys), func(k *key) bool { return k.opens })
	c.keys = slices.DeleteFunc(c.keys, func(k *key) bool { return !k.opens })
}

// sorted returns things by name, and then by ID.
func sorted[T any](things []T, nameAndID func(T) []string) []T {
	return slices.SortedStableFunc(slices.Values(things), func(a, b T) int { return slices.Compare(nameAndID(a), nameAndID(b)) })
}

func (c *Conversion) write() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The keys of %s, imported by flowlatch.\n\nversion: 1\n", c.source.title())
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
	listed(&b, c.orphaned, "Closed, as in Flowise: their keys are deleted there, or were not shown.")
	listed(&b, c.uncallable, "Closed: their IDs are no lower-case UUIDs, and the gate accepts no others.")
	if len(c.unused) > 0 {
		b.WriteString("\n# Keys that open no chatflow in Flowise. To use one, list it under `keys:` and name it in a chatflow:\n")
		for _, k := range c.unused {
			fmt.Fprintf(&b, "#  - id: %s%s\n#    sha256: %s\n", k.id, k.comment(), k.digest)
		}
	}
	return b.Bytes()
}

// comment is a comment with the name of the key in Flowise, if its ID is another one.
func (k *key) comment() string {
	if k.id == k.Name {
		return ""
	}
	return "  # in Flowise " + quoted(k.Name)
}

func (f *flow) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "  - id: %s\n", f.ID)
	if f.label != "" {
		fmt.Fprintf(b, "    name: %q\n", f.label)
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

// String returns the ID and the name of the chatflow.
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

// verify parses the file: it must be valid, and say neither more nor less than it should.
func (c *Conversion) verify(file string) error {
	s, err := keystore.Parse(file, c.Text)
	if err != nil {
		return fmt.Errorf("the key file made of %s would not be valid, and is not written:\n%w", c.source.title(), err)
	}
	want, got := map[string]string{}, map[string]string{}
	for _, f := range c.keyed {
		want[f.ID] = fmt.Sprintf("%q forward %s %s", f.label, f.key.id, f.key.digest)
	}
	if c.public {
		for _, f := range c.open {
			want[f.ID] = fmt.Sprintf("%q public", f.label)
		}
	}
	for _, f := range s.Chatflows() {
		got[f.ID] = fmt.Sprintf("%q %s", f.Name, f.UpstreamAuthorization)
		if f.Public {
			got[f.ID] = fmt.Sprintf("%q public", f.Name)
		}
		for _, k := range f.Keys() {
			got[f.ID] += fmt.Sprintf(" %s %s", k.ID, k.Secrets()[0].Digest)
		}
	}
	if !maps.Equal(want, got) || len(s.Keys()) != len(c.keys) {
		return fmt.Errorf("the key file made of %s would not open the same chatflows, and is not written; a name in it may be the cause", c.source.title())
	}
	return nil
}
