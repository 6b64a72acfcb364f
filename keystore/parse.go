package keystore

import (
	"fmt"
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

// ParseDraft is Parse for a file that does not list its chatflows yet.
func ParseDraft(file string, data []byte) (*Snapshot, error) {
	return parse(file, data, parseOptions{begun: true, plainFrom: plainFrom})
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
	if err == nil && (t.UTC().Year() < 1970 || t.UTC().Year() > 2261) { // what fits into 64 bits of nanoseconds
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

// within warns of a secret that is valid only while its key is not.
func (p *parser) within(n *yaml.Node, name keyName, secret, key window) {
	switch {
	case secret.until <= key.from:
		p.Warn(n.Line, "a secret of %s can never be used: its time ends before that of the key begins", name)
	case secret.from >= key.until:
		p.Warn(n.Line, "a secret of %s can never be used: its time begins when that of the key is over", name)
	}
}
