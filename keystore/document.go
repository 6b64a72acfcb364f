package keystore

import (
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// KeyFile is one of the files that a snapshot was made from.
type KeyFile struct {
	// Path is its path, for messages.
	Path string
	// Keys and Chatflows are how many it lists.
	Keys, Chatflows int

	plain bool // it has a secret in plain text
}

// EveryoneReads reports whether every user of this machine can read the file. It is false where that is not known or
// means nothing: see [watch.EveryoneReads].
func (f *KeyFile) EveryoneReads() bool { return watch.EveryoneReads(f.Path) }

// place is the file and a line of it, for messages.
func (f *KeyFile) place(line int) string { return fmt.Sprintf("%s:%d", f.Path, line) }

// document is a key file that is being parsed.
type document struct {
	source
	*strictyaml.Decoder
	file *KeyFile

	root *yaml.Node // nil if nothing can be read
	fileFields
}

// fileFields are the fields of a key file; those it does not have are nil.
type fileFields struct {
	Version, Keys, Chatflows *yaml.Node
	FlowiseKeys              *yaml.Node `yaml:"flowise_api_keys"`
}

var inFile = strictyaml.FieldsOf[fileFields](nil)

// read finds the fields of the file. An error means that the file could not be read; faults in its content go into
// Faults.
func (d *document) read() error {
	content := io.NewSectionReader(d.content, 0, d.content.Size()) // from the beginning
	var root *yaml.Node
	if IsJSON(d.path) {
		root = d.JSON(content)
	} else {
		data, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		root = d.Document(data)
	}
	f, ok := inFile.Read(d.Decoder, root, "the key file")
	switch {
	case !ok:
		return nil
	case f.Version == nil:
		d.Fault(root, "no version; this gate reads `version: 1`")
	case f.Version.Value != "1":
		d.Fault(f.Version, "version %s is not known; this gate reads `version: 1`", strictyaml.Quote(f.Version.Value))
		return nil // every field of another version could be a fault
	}
	d.root, d.fileFields = root, f
	return nil
}

// twice records the fault that n, in the file being read, repeats what file first has at line. If these are two files,
// the fault goes to the one that changed last. args are the IDs of both entries, or the one that they share; the last
// verb of format is for the place of the other entry.
func (p *parser) twice(n *yaml.Node, first *KeyFile, line int, format string, args ...any) {
	if first == p.file {
		p.Fault(n, format, append(args, fmt.Sprintf("line %d", line))...)
		return
	}
	last, other, at := p.document, first.place(line), n.Line
	if i := slices.IndexFunc(p.documents, func(d *document) bool { return d.file == first }); p.documents[i].change > p.change {
		last, other, at = p.documents[i], p.file.place(n.Line), line
		slices.Reverse(args)
	}
	last.Faults = append(last.Faults, strictyaml.Fault{File: last.path, Line: at, Text: fmt.Sprintf(format, append(args, other)...), Across: true})
}

// missing records the fault that chatflow c lists, at n, a key that no file has.
func (p *parser) missing(c *Chatflow, n *yaml.Node, id string) {
	if !p.options.directory {
		p.Fault(n, "chatflow %q lists key %s, which is not under `keys:`", c.ID, strictyaml.Quote(id))
		p.Faults[len(p.Faults)-1].Across = true // if it is one file of a directory, another may have the key
		return
	}
	holder := p.holder(id)
	switch {
	case p.standsIn && holder != p.path: // a file with a fault must not keep the keys of others alive
		p.Warn(n.Line, "chatflow %q lists key %s, which is gone, in the older content of this file that stays active", c.ID, strictyaml.Quote(id))
	case p.change == 0 && holder != "" && holder != p.path:
		p.others = append(p.others, strictyaml.Fault{File: holder, Across: true, Text: fmt.Sprintf(
			"key %s is gone, and chatflow %q in %s still lists it; remove it there first, or revoke the key by `disabled: true`", strictyaml.Quote(id), c.ID, p.file.place(n.Line))})
	default:
		p.Faults = append(p.Faults, strictyaml.Fault{File: p.path, Line: n.Line, Across: true, Text: fmt.Sprintf(
			"chatflow %q lists key %s, which no key file has under `keys:`", c.ID, strictyaml.Quote(id))})
	}
}

// holder returns the path of the file that has key id in the active snapshot; empty if none has.
func (p *parser) holder(id string) string {
	if p.holders == nil {
		p.holders = map[string]string{}
		if p.options.active != nil {
			for _, k := range p.options.active.keys {
				p.holders[k.ID] = k.file.Path
			}
		}
	}
	return p.holders[id]
}
