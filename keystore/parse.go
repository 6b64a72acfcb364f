package keystore

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"strings"
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
// An empty file is an error, and so is one that lists no chatflow: it was probably not written completely. Nobody revokes
// all keys that way.
//
// Parse does not read the key file of Flowise that data may name. Its keys are missing in the snapshot; a
// [Store] reads them.
func Parse(file string, data []byte) (*Snapshot, error) {
	return parse(file, []source{{path: file, content: section(data)}}, parseOptions{})
}

// ParseDraft is Parse for a file that does not list its chatflows yet.
func ParseDraft(file string, data []byte) (*Snapshot, error) {
	return parse(file, []source{{path: file, content: section(data)}}, parseOptions{draft: true})
}

// ParsePart is [Parse] for one file of a directory: it may list no chatflow, and the keys that its chatflows list may be
// in other files. Of those keys the snapshot has only the IDs, and only in the lists of chatflows.
func ParsePart(file string, data []byte) (*Snapshot, error) {
	return parse(file, []source{{path: file, content: section(data)}}, partOptions)
}

// partOptions are for one file of a directory, parsed alone.
var partOptions = parseOptions{draft: true, directory: true, part: true}

func section(data []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data)))
}

// IsJSON reports whether the key file with this name is JSON.
func IsJSON(file string) bool { return filepath.Ext(file) == ".json" }

// source is a key file to be parsed.
type source struct {
	path    string // for messages
	content *io.SectionReader
	digest  [sha256.Size]byte // of the content, for the hash of the snapshot
	// change says in what order contents were found: a higher number was found later. It is 0 for active content.
	change uint64
	// standsIn says that this is the active content of a file whose new content cannot be applied.
	standsIn bool
}

type parseOptions struct {
	draft     bool
	part      bool // keys that chatflows list may be in other files
	directory bool // the sources are the files of a directory, and each may refer to what is in another
	// flowise returns the keys in the file of Flowise that a key file names. Nil leaves them out.
	flowise func(keyFile, name string) ([]apiKey, error)
	active  *Snapshot // nil if there is none
}

// parse makes a snapshot from key files. name is the path of the only one, or of their directory.
func parse(name string, sources []source, o parseOptions) (*Snapshot, error) {
	p := &parser{options: o, keyByID: map[string]*Key{}}
	p.snapshot = &Snapshot{File: name, isDirectory: o.directory, secrets: map[Digest]*Secret{}, byID: map[string]*Chatflow{}, browser: map[string]*Key{}}
	for _, s := range sources {
		d := &document{source: s, Decoder: &strictyaml.Decoder{File: s.path}, file: &KeyFile{Path: s.path}}
		p.documents = append(p.documents, d)
		p.snapshot.files = append(p.snapshot.files, d.file)
		if err := d.read(); err != nil {
			return nil, err
		}
	}
	// A chatflow may list the keys of every file, so all keys are read first.
	p.eachDocument(func(d *document) { p.entries(d.Keys, "keys", p.key) })
	p.eachDocument(func(d *document) { p.readFlowise(d.FlowiseKeys) })
	p.eachDocument(func(d *document) { p.entries(d.Chatflows, "chatflows", p.chatflow) })
	p.checkEmpty()
	return p.result()
}

type parser struct {
	*document // the one that is being read
	documents []*document
	options   parseOptions
	snapshot  *Snapshot
	keyByID   map[string]*Key
	flowise   *flowiseKeys      // nil if there are none
	others    strictyaml.Faults // of other files than the one that is being read, or of the directory
	holders   map[string]string // see holder
}

// eachDocument calls read for each document that could be read.
func (p *parser) eachDocument(read func(*document)) {
	for _, d := range p.documents {
		if p.document = d; d.root != nil {
			read(d)
		}
	}
}

// checkEmpty looks for files that were probably not written completely. Active content is not suspect: it may list
// nothing if it was applied before any other file listed something.
func (p *parser) checkEmpty() {
	if p.options.draft {
		return
	}
	p.eachDocument(func(d *document) {
		if p.options.directory && d.change > 0 && len(d.Faults) == 0 && d.file.Keys+d.file.Chatflows == 0 && d.FlowiseKeys == nil {
			d.Fault(d.root, "neither a key nor a chatflow is listed; to take away all that a file lists, remove the file, or disable its keys")
		}
	})
	const nothing = "no chatflow is listed, so nothing could be let through; list one under `chatflows:`, be it for a disabled key"
	switch {
	case len(p.snapshot.chatflows) > 0 || len(p.faults()) > 0:
	case p.options.directory:
		p.others = append(p.others, strictyaml.Fault{File: p.snapshot.File, Text: nothing, Across: true})
	default:
		p.Fault(p.root, nothing)
		p.Faults[0].Across = true // if it is one file of a directory, another may list some
	}
}

// faults returns everything that is wrong, file by file.
func (p *parser) faults() (all strictyaml.Faults) {
	for _, d := range p.documents {
		d.Faults.Sort()
		all = append(all, d.Faults...)
	}
	return append(all, p.others...)
}

// result returns the snapshot, or everything that is wrong.
func (p *parser) result() (*Snapshot, error) {
	if faults := p.faults(); len(faults) > 0 {
		return nil, faults
	}
	if !p.options.part { // a part does not know the chatflows of other files
		p.warnUnused()
	}
	for _, d := range p.documents {
		p.snapshot.Warnings = append(p.snapshot.Warnings, d.Warnings...)
	}
	return p.snapshot, nil
}

// entries calls item with each key or chatflow of the document.
func (p *parser) entries(n *yaml.Node, name string, item func(*yaml.Node)) {
	if n == nil || p.options.draft && strictyaml.Null(n) {
		return
	}
	p.Sequence(n, name, item)
}

// warnUnused warns about keys that open no chatflow.
func (p *parser) warnUnused() {
	keys := p.snapshot.keys
	used := make([]bool, len(keys))
	for _, c := range p.snapshot.chatflows {
		for _, n := range c.numbers {
			used[n] = true
		}
	}
	for _, d := range p.documents { // keys are in the order of the documents, followed by those of Flowise
		for i, k := range keys[:d.file.Keys] {
			if !used[i] && !k.Honey {
				d.Warn(k.Line, "key %q opens no chatflow", k.ID)
			}
		}
		keys, used = keys[d.file.Keys:], used[d.file.Keys:]
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
	if LooksLikeSecret(v) { // so do not repeat it
		p.Fault(id, "%s ID: this looks like the secret of a key, and an ID appears in logs and metrics; choose another", what)
		return ""
	}
	return v
}
