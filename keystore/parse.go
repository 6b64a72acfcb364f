package keystore

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

const idCharacters = base62 + "._~@-"

// ValidateID returns an error if s cannot be the ID of a key or a chatflow. An ID needs no quotes in a log line, a
// metric label or a path.
func ValidateID(s string) error {
	const want = "want 1 to 128 of the characters A-Z a-z 0-9 . _ ~ @ -"
	odd := strings.Trim(s, idCharacters)
	switch trimmed := strings.TrimSpace(s); {
	case s == "":
		return fmt.Errorf("\"\": %s; this is empty", want)
	case len(s) > 128:
		return fmt.Errorf("%s: %s; this has %d", strictyaml.Quote(s), want, len(s))
	case odd == "":
		return nil
	case trimmed != s && ValidateID(trimmed) == nil:
		return fmt.Errorf("%s: %s; remove the blank or line break at its beginning or end", strictyaml.Quote(s), want)
	}
	r, _ := utf8.DecodeRuneInString(odd)
	return fmt.Errorf("%s: %s; this has %q", strictyaml.Quote(s), want, r)
}

// Parse reads a key file of version 1, which is JSON if the name of the file ends in .json, and YAML
// otherwise. The error is a [strictyaml.Faults] with everything that is wrong, each fault with its line.
//
// An empty file is an error, and so is one that lists no chatflow: it was not written completely. Nobody
// revokes all keys that way.
//
// Parse does not read the key file of Flowise that data may name. Its keys are missing in the snapshot; a
// [Store] reads them.
func Parse(file string, data []byte) (*Snapshot, error) {
	return parse(file, section(data), parseOptions{})
}

// ParseDraft is Parse for a file that does not list its chatflows yet.
func ParseDraft(file string, data []byte) (*Snapshot, error) {
	return parse(file, section(data), parseOptions{draft: true})
}

func section(data []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data)))
}

// IsJSON reports whether the key file with this name is JSON.
func IsJSON(file string) bool { return filepath.Ext(file) == ".json" }

type parseOptions struct {
	draft bool
	// flowise returns the keys in the file of Flowise that the key file names. Nil leaves them out.
	flowise func(name string) ([]apiKey, error)
}

func parse(file string, content *io.SectionReader, o parseOptions) (*Snapshot, error) {
	d := &strictyaml.Decoder{File: file}
	p := &parser{Decoder: d, options: o, keyByID: map[string]*Key{}}
	p.snapshot = &Snapshot{File: file, secrets: map[Digest]*Secret{}, byID: map[string]*Chatflow{}, browser: map[string]*Key{}}
	content = io.NewSectionReader(content, 0, content.Size()) // from the beginning
	var root *yaml.Node
	if IsJSON(file) {
		root = d.JSON(content)
	} else {
		data, err := io.ReadAll(content)
		if err != nil {
			return nil, err
		}
		root = d.Document(data)
	}
	if root != nil {
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
	flowise  *flowiseKeys // nil if there are none
}

func (p *parser) file(root *yaml.Node) {
	fields := map[string]*yaml.Node{"version": nil, "keys": nil, "chatflows": nil, "flowise_api_keys": nil}
	if !p.Mapping(root, "the key file", slices.Sorted(maps.Keys(fields)), func(field string, n *yaml.Node) bool {
		_, known := fields[field]
		if known {
			fields[field] = n
		}
		return known
	}) {
		return
	}
	switch version := fields["version"]; {
	case version == nil:
		p.Fault(root, "no version; this gate reads `version: 1`")
	case version.Value != "1":
		p.Fault(version, "version %s is not known; this gate reads `version: 1`", strictyaml.Quote(version.Value))
		return // every field of another version could be a fault
	}
	p.list(fields["keys"], "keys", p.key)
	if n := fields["flowise_api_keys"]; n != nil {
		p.readFlowise(n)
	}
	p.list(fields["chatflows"], "chatflows", p.chatflow)
	if !p.options.draft && len(p.Faults) == 0 && len(p.snapshot.chatflows) == 0 {
		p.Fault(root, "no chatflow is listed, so nothing could be let through; list one under `chatflows:` (`flowlatch key new --chatflow ID` does)")
	}
	p.warnUnused()
}

func (p *parser) list(n *yaml.Node, name string, item func(*yaml.Node)) {
	if n != nil && (!p.options.draft || !strictyaml.Null(n)) {
		p.Sequence(n, name, item)
	}
}

// warnUnused warns of keys that open no chatflow.
func (p *parser) warnUnused() {
	used := make([]bool, len(p.snapshot.keys))
	for _, c := range p.snapshot.chatflows {
		for _, n := range c.numbers {
			used[n] = true
		}
	}
	for i, k := range p.snapshot.keys {
		if !used[i] && !k.fromFlowise && !k.Honey {
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
	if LooksLikeSecret(v) { // which is not told
		p.Fault(id, "%s ID: this looks like the secret of a key, and an ID appears in logs and metrics; choose another", what)
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
	if err != nil {
		p.Fault(n, "%s: %s is not a time as RFC 3339 writes it, such as 2027-01-31T00:00:00Z", name, strictyaml.Quote(v))
		return unset
	}
	if year := t.UTC().Year(); year < 1970 || year > 2261 { // what fits into 64 bits of nanoseconds
		p.Fault(n, "%s: %s is not between 1970 and 2261; leave the line out if there is no limit", name, strictyaml.Quote(v))
		return unset
	}
	return t.UnixNano()
}
