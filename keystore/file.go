package keystore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// ValidateID says why s cannot be the ID of a key or a chatflow, or nil. An ID can stand in a log line, a
// metric label and a path without being quoted.
func ValidateID(s string) error {
	ok := len(s) >= 1 && len(s) <= 128
	for i := 0; ok && i < len(s); i++ {
		ok = wordBytes[s[i]] != 0 && s[i] != ':' && s[i] != '+'
	}
	if !ok {
		return fmt.Errorf("%s: want 1 to 128 of the characters A-Z a-z 0-9 . _ ~ @ -", strictyaml.Quote(s))
	}
	return nil
}

// Parse reads a key file of version 1. All that is wrong with it comes back as one [strictyaml.Faults], each
// fault with its line; then there is no snapshot. file is the name to use in faults.
//
// An empty file is an error, and so is one that lists no chatflow: neither ever means that every key
// is revoked, it means that somebody was not done writing.
//
// Flowise's own file of keys is not read, so the keys that it holds are missing from the snapshot; a
// [Store] reads it.
func Parse(file string, data []byte) (*Snapshot, error) {
	return parse(file, data, parseOptions{plainFrom: plainFrom})
}

type parseOptions struct {
	// begun says that the file may yet have to get its chatflows.
	begun bool
	// flowise reads Flowise's own file of keys; nil if it is not to be read.
	flowise func(path string) ([]byte, error)
	// plainFrom is the size from which a file that is written plainly is read without the YAML
	// library.
	plainFrom int
}

func parse(file string, data []byte, o parseOptions) (*Snapshot, error) {
	d := &strictyaml.Decoder{File: file}
	p := &parser{Decoder: d, options: o, keyByID: map[string]*Key{}, snapshot: &Snapshot{
		File: file,
		byID: map[string]*Chatflow{},
	}}
	if plain, ok := readPlain(data, o.plainFrom); ok {
		p.contents(plain.root, plain.version, plain.keys.each, plain.chatflows.each)
	} else if root := d.Document(data); root != nil {
		p.file(root)
	}
	if len(d.Faults) > 0 {
		d.Faults.Sort()
		return nil, d.Faults
	}
	p.snapshot.Warnings = d.Warnings
	return p.snapshot, nil
}

type parser struct {
	*strictyaml.Decoder
	options  parseOptions
	snapshot *Snapshot
	keyByID  map[string]*Key
	// source is the node that names Flowise's file of keys, or nil; flowise is what is in it, nil if
	// it was not read.
	source  *yaml.Node
	flowise *flowiseKeys
}

func (p *parser) file(root *yaml.Node) {
	var version, keys, chatflows *yaml.Node
	if !p.Mapping(root, "the key file", func(field string, n *yaml.Node) bool {
		switch field {
		case "version":
			version = n
		case "keys":
			keys = n
		case "chatflows":
			chatflows = n
		case "flowise_api_keys":
			p.source = n
		default:
			return false
		}
		return true
	}) {
		return
	}
	list := func(n *yaml.Node, name string) func(func(*yaml.Node)) {
		return func(item func(*yaml.Node)) {
			if n != nil && (!p.options.begun || !strictyaml.Null(n)) {
				p.Sequence(n, name, item)
			}
		}
	}
	p.contents(root, version, list(keys, "keys"), list(chatflows, "chatflows"))
}

// contents reads what a key file holds, given its version and what goes through its lists.
func (p *parser) contents(root, version *yaml.Node, keys, chatflows func(item func(*yaml.Node))) {
	switch {
	case version == nil:
		p.Fault(root, "no version; this gate reads `version: 1`")
	case version.Value != "1":
		p.Fault(version, "version %s is not known; this gate reads `version: 1`", strictyaml.Quote(version.Value))
		return // another version's fields would all be faults, and none worth reading
	}
	keys(p.key)
	if p.source != nil {
		p.readFlowise()
	}
	chatflows(p.chatflow)
	if !p.options.begun && len(p.Faults) == 0 && len(p.snapshot.chatflows) == 0 {
		p.Fault(root, "no chatflow is listed, so nothing could be let through; list one under `chatflows:` (`flowlatch key new --chatflow ID` does)")
	}
	p.unused()
}

// unused warns of keys that open nothing.
func (p *parser) unused() {
	used := make(map[*Key]bool, len(p.snapshot.keys))
	for _, c := range p.snapshot.chatflows {
		for _, k := range c.keys {
			used[k] = true
		}
	}
	for _, k := range p.snapshot.keys {
		if !used[k] && k.Flowise == "" {
			p.Warn(k.Line, "key %q opens no chatflow", k.ID)
		}
	}
}

func (p *parser) key(n *yaml.Node) {
	k := &Key{Line: n.Line, valid: always}
	var id, secrets *yaml.Node
	own := Secret{valid: always}
	var digest, plain *yaml.Node
	if !p.Mapping(n, "a key", func(field string, n *yaml.Node) bool {
		switch field {
		case "id":
			id = n
		case "sha256":
			digest = n
		case "secret":
			plain = n
		case "secrets":
			secrets = n
		case "not_before":
			k.valid.from = p.time(n, "not_before", k.valid.from)
		case "not_after":
			k.valid.until = p.time(n, "not_after", k.valid.until)
		case "disabled":
			k.Disabled = p.Bool(n, "disabled")
		default:
			return false
		}
		return true
	}) {
		return
	}
	k.ID = p.id(n, id, "key")
	name := keyName(k.ID)
	p.ordered(n, "", name, k.valid)
	if first := p.keyByID[k.ID]; first != nil && k.ID != "" {
		p.Fault(id, "key ID %q is used twice, first in line %d; several secrets of one key go under `secrets:`", k.ID, first.Line)
		return
	}
	switch {
	case secrets == nil:
		if p.secret(n, name, digest, plain, &own) {
			k.secrets = []Secret{own}
		}
	case digest != nil || plain != nil:
		p.Fault(secrets, "%s has `secrets:` and a secret beside it; put all of them under `secrets:`", name)
	default:
		p.Sequence(secrets, "secrets", func(n *yaml.Node) { p.listedSecret(n, k) })
		if secrets.Kind == yaml.SequenceNode && len(secrets.Content) == 0 {
			p.Fault(secrets, "%s has an empty list of secrets; `disabled: true` turns a key off", name)
		}
	}
	p.keyByID[k.ID] = k
	p.addKey(k)
	for i := range k.secrets {
		p.index(n, k, &k.secrets[i])
	}
}

// keyName is a key's ID, which in a message is named so.
type keyName string

func (k keyName) String() string { return "key " + strconv.Quote(string(k)) }

func (p *parser) addKey(k *Key) {
	k.number = uint32(len(p.snapshot.keys)) //nolint:gosec // four thousand million keys do not fit into a file
	p.snapshot.keys = append(p.snapshot.keys, k)
}

func (p *parser) listedSecret(n *yaml.Node, k *Key) {
	name := keyName(k.ID)
	s := Secret{valid: always}
	var digest, plain *yaml.Node
	if p.Mapping(n, "a secret", func(field string, n *yaml.Node) bool {
		switch field {
		case "sha256":
			digest = n
		case "secret":
			plain = n
		case "not_before":
			s.valid.from = p.time(n, "not_before", s.valid.from)
		case "not_after":
			s.valid.until = p.time(n, "not_after", s.valid.until)
		default:
			return false
		}
		return true
	}) && p.secret(n, name, digest, plain, &s) {
		p.ordered(n, "a secret of ", name, s.valid)
		k.secrets = append(k.secrets, s)
	}
}

// secret fills in the digest of one secret from `sha256:` or `secret:`.
func (p *parser) secret(n *yaml.Node, name keyName, digest, plain *yaml.Node, s *Secret) bool {
	switch {
	case digest == nil && plain == nil:
		p.Fault(n, "%s has no secret: give its digest as `sha256:` (or several under `secrets:`)", name)
	case digest != nil && plain != nil:
		p.Fault(plain, "%s has both `sha256:` and `secret:`; keep `sha256:`", name)
	case digest != nil:
		v, ok := p.Text(digest, "sha256")
		if !ok {
			return false
		}
		d, err := ParseDigest(v)
		if err != nil {
			p.Fault(digest, "%s: %v", name, err)
			return false
		}
		s.Digest = d
		return true
	default:
		v, ok := p.Text(plain, "secret")
		if !ok {
			return false
		}
		if err := ValidateSecret(v); err != nil {
			p.Fault(plain, "%s: %v", name, err)
			return false
		}
		s.Digest, s.Plain = DigestOf(v), true
		p.Warn(plain.Line, "%s has its secret in plain text; `sha256: %s` in its place does the same and gives nothing away", name, s.Digest)
		return true
	}
	return false
}

func (p *parser) index(n *yaml.Node, k *Key, s *Secret) {
	s.key = k
	switch other := p.snapshot.byDigest.get(s.Digest); {
	case other == nil:
		p.snapshot.byDigest.put(s)
	case other.key == k:
		p.Fault(n, "key %q has the same secret twice", k.ID)
	default:
		p.Fault(n, "key %q has the same secret as key %q in line %d; a secret belongs to one key", k.ID, other.key.ID, other.key.Line)
	}
}

func (p *parser) chatflow(n *yaml.Node) {
	c := &Chatflow{Line: n.Line}
	var id, name, keys *yaml.Node
	if !p.Mapping(n, "a chatflow", func(field string, n *yaml.Node) bool {
		switch field {
		case "id":
			id = n
		case "name":
			name = n
		case "keys":
			keys = n
		case "public":
			c.Public = p.Bool(n, "public")
		case "upstream_authorization":
			p.upstreamAuthorization(c, n)
		default:
			return false
		}
		return true
	}) {
		return
	}
	if id != nil && id.Value == EveryChatflow && id.Kind == yaml.ScalarNode {
		c.ID = EveryChatflow
	} else {
		c.ID = p.id(n, id, "chatflow")
	}
	if name != nil {
		c.Name, _ = p.Text(name, "name")
	}
	if keys != nil {
		listed := map[*Key]bool{}
		p.Sequence(keys, "keys", func(n *yaml.Node) { p.keyOf(c, n, listed) })
	}
	slices.SortFunc(c.keys, func(a, b *Key) int { return strings.Compare(a.ID, b.ID) })
	c.keys = slices.Clip(c.keys)
	c.numbers = make([]uint32, len(c.keys))
	for i, k := range c.keys {
		c.numbers[i] = k.number
	}
	slices.Sort(c.numbers)
	switch {
	case c.ID == EveryChatflow && c.Public:
		p.Fault(n, "chatflow \"*\" cannot be public: that would open every chatflow, those made tomorrow too; list the public ones by ID")
	case !c.Public && (keys == nil || keys.Kind == yaml.SequenceNode && len(keys.Content) == 0):
		p.Fault(n, "chatflow %q has neither `keys:` nor `public: true`; a chatflow that nobody may call is closed by not listing it", c.ID)
	}
	p.addChatflow(n, c)
}

func (p *parser) upstreamAuthorization(c *Chatflow, n *yaml.Node) {
	v, ok := p.Text(n, "upstream_authorization")
	if !ok {
		return
	}
	var err error
	if c.UpstreamAuthorization, err = ParseUpstreamAuthorization(v); err != nil {
		p.Fault(n, "upstream_authorization: %v", err)
	}
}

// keyOf adds the key that n names to chatflow c, in which those of listed are already.
func (p *parser) keyOf(c *Chatflow, n *yaml.Node, listed map[*Key]bool) {
	v, ok := p.Text(n, "a key ID")
	if !ok {
		return
	}
	k := p.keyByID[v]
	if p.source != nil && (k == nil || k.Flowise != "") {
		if k = p.flowiseKey(c, n, v); k == nil {
			return
		}
	}
	switch {
	case k == nil:
		p.Fault(n, "chatflow %q lists key %s, which is not under `keys:`", c.ID, strictyaml.Quote(v))
	case listed[k] && k.Flowise != "": // by its name and by its id
	case listed[k]:
		p.Fault(n, "chatflow %q lists key %q twice", c.ID, v)
	default:
		listed[k] = true
		c.keys = append(c.keys, k)
	}
}

func (p *parser) addChatflow(n *yaml.Node, c *Chatflow) {
	s := p.snapshot
	if other := s.entry(c.ID); other != nil && c.ID != "" {
		p.Fault(n, "chatflow %q is listed twice, first in line %d; one entry lists all its keys", c.ID, other.Line)
		return
	}
	s.chatflows = append(s.chatflows, c)
	s.public = s.public || c.Public
	if c.ID == EveryChatflow {
		s.every = c
		return
	}
	s.byID[c.ID] = c
}

// id reads the ID of the key or chatflow at n.
func (p *parser) id(n, id *yaml.Node, what string) string {
	if id == nil {
		p.Fault(n, "a %s without `id:`", what)
		return ""
	}
	v, ok := p.Text(id, "id")
	if !ok {
		return ""
	}
	if err := ValidateID(v); err != nil {
		p.Fault(id, "%s ID %v", what, err)
		return ""
	}
	return v
}

func (p *parser) time(n *yaml.Node, name string, unset int64) int64 {
	v, ok := p.Text(n, name)
	if !ok {
		return unset
	}
	t, err := time.Parse(time.RFC3339, v)
	if err == nil && (t.Year() < 1970 || t.Year() > 2261) { // what fits into 64 bits of nanoseconds
		p.Fault(n, "%s: %s is not between 1970 and 2261; leave the line out if there is no limit", name, strictyaml.Quote(v))
		return unset
	}
	if err != nil {
		p.Fault(n, "%s: %s is not a time as RFC 3339 writes it, such as 2027-01-31T00:00:00Z", name, strictyaml.Quote(v))
		return unset
	}
	return t.UnixNano()
}

func (p *parser) ordered(n *yaml.Node, of string, name keyName, w window) {
	if w.from >= w.until {
		p.Fault(n, "%s%s is never valid: its not_before is not earlier than its not_after", of, name)
	}
}
