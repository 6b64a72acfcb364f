package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// apiKey is an entry of api.json, the key file of Flowise 1.x, 2.x and 3.0.0 (packages/server/src/utils/apiKey.ts
// at 2.2.8), which holds all secrets in plain text.
type apiKey struct {
	ID     string `json:"id"`
	Name   string `json:"keyName"`
	APIKey string `json:"apiKey"`
}

// flowiseDefault is the name of the key that Flowise creates when it cannot read its key file.
const flowiseDefault = "DefaultKey"

// flowiseKeysPath returns the path of the api.json that `flowise_api_keys: name` means. The name is that of the file
// or of its directory, as in Flowise's APIKEY_PATH, and is relative to the directory of the key file.
func flowiseKeysPath(keyFile, name string) string {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(keyFile), name)
	}
	if filepath.Ext(name) != ".json" || watch.IsDir(name) {
		return filepath.Join(name, "api.json")
	}
	return name
}

// parseFlowiseKeys reads an api.json. Flowise rewrites that file in place, so a reader may see only part of it: anything
// but one complete array is an error.
func parseFlowiseKeys(data []byte) ([]apiKey, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	var keys []apiKey
	err := d.Decode(&keys)
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch { // no message quotes the file, which holds secrets
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the file ends too early; it may not be written completely yet")
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("not a key file of Flowise: not JSON (at byte %d)", syntax.Offset)
	case errors.As(err, &wrong):
		return nil, fmt.Errorf("not a key file of Flowise: %q is not text (at byte %d)", wrong.Field, wrong.Offset)
	case err != nil:
		return nil, errors.New("not a key file of Flowise: not JSON")
	case keys == nil:
		return nil, errors.New("not a key file of Flowise: it holds no list")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a key file of Flowise: something follows the list")
	}
	return keys, nil
}

// isReset reports whether Flowise has lost its keys: none of the old ones is left, and there is the key that Flowise
// creates when it cannot read its key file. Nobody does that in the dashboard. If Flowise had lost its keys before, that
// remains so until an old one is back, whatever is done in the dashboard: somebody who makes a new key there does not
// give up the old ones.
func isReset(old, next []apiKey, before bool) bool {
	kept := func(k apiKey) bool {
		return slices.ContainsFunc(next, func(n apiKey) bool { return n.ID == k.ID })
	}
	return len(old) > 0 && !slices.ContainsFunc(old, kept) &&
		(before || slices.ContainsFunc(next, func(k apiKey) bool { return k.Name == flowiseDefault }))
}

// flowiseKeys are the keys of Flowise that a key file may name.
type flowiseKeys struct {
	byName map[string]*Key // nil for a name that several keys have
	byID   map[string]*Key // nil if they were not read

	namedBy *KeyFile
	line    int // where it names their file
}

// readFlowise reads the keys of Flowise, if the key file names their file at n.
func (p *parser) readFlowise(n *yaml.Node) {
	if n == nil {
		return
	}
	if p.flowise != nil {
		p.twice(n, p.flowise.namedBy, p.flowise.line, "flowise_api_keys: two key files name Flowise's file, first in %s; one of them is enough")
		return
	}
	p.flowise = &flowiseKeys{namedBy: p.file, line: n.Line}
	p.snapshot.namesFlowise = p.path
	var ok bool
	if p.snapshot.flowiseName, ok = p.Text(n, "flowise_api_keys"); !ok || p.options.flowise == nil {
		return
	}
	keys, err := p.options.flowise(p.path, p.snapshot.flowiseName)
	if err != nil {
		p.Fault(n, "flowise_api_keys: %v", err)
		return
	}
	p.addFlowiseKeys(n, keys)
}

// addFlowiseKeys adds keys of Flowise. One that cannot be used is left out with a warning: the file belongs to Flowise,
// and one bad key should not keep the others out of date.
func (p *parser) addFlowiseKeys(n *yaml.Node, entries []apiKey) {
	p.flowise.byName, p.flowise.byID = map[string]*Key{}, map[string]*Key{}
	for i, entry := range entries {
		what := fmt.Sprintf("key %d of Flowise's file", i+1)
		if ValidateID(entry.ID) != nil {
			p.Warn(n.Line, "%s has no usable id and is left out", what)
			continue
		}
		what = fmt.Sprintf("Flowise's key with id %q", entry.ID)
		if ValidateID(entry.Name) == nil {
			what = fmt.Sprintf("Flowise's key %q", entry.Name)
		}
		if err := ValidateSecret(entry.APIKey); err != nil {
			p.Warn(n.Line, "%s is left out: %v", what, err)
			continue
		}
		digest := DigestOf(entry.APIKey)
		if other := p.snapshot.secrets[digest]; other != nil {
			p.Warn(n.Line, "%s is left out: its secret is that of key %q", what, other.key.ID)
			continue
		}
		if p.flowise.byID[entry.ID] != nil {
			p.Warn(n.Line, "%s is left out: its id is there twice", what)
			continue
		}
		k := &Key{ID: p.flowiseID(entry), fromFlowise: true, Terms: &noTerms, file: p.file, Line: n.Line, valid: always, secrets: []Secret{{Digest: digest, valid: always}}}
		p.addKey(n, k)
		p.flowise.byID[entry.ID] = k
		if _, twice := p.flowise.byName[entry.Name]; twice {
			k = nil
		}
		p.flowise.byName[entry.Name] = k
	}
}

// flowiseID returns the ID that a key of Flowise has here: its name, if that is an ID that no other key has; else
// Flowise's ID; or that with a prefix, if another key has it.
func (p *parser) flowiseID(entry apiKey) string {
	if ValidateID(entry.Name) == nil && p.keyByID[entry.Name] == nil {
		return entry.Name
	}
	if p.keyByID[entry.ID] == nil {
		return entry.ID
	}
	return "flowise-" + entry.ID
}

// flowiseKey returns the key of Flowise that chatflow c lists at n by its ID or its name, or nil. A key that does not
// exist opens nothing and is no fault: it was deleted in Flowise's dashboard, or will be created there.
func (p *parser) flowiseKey(c *Chatflow, n *yaml.Node, reference string) *Key {
	if p.flowise.byID == nil {
		return nil
	}
	if k := p.flowise.byID[reference]; k != nil {
		return k
	}
	k, named := p.flowise.byName[reference]
	switch {
	case !named:
		p.Warn(n.Line, "chatflow %q lists key %s, which is neither under `keys:` nor in Flowise's file", c.ID, strictyaml.Quote(reference))
	case k == nil:
		p.Fault(n, "chatflow %q lists key %s, and Flowise has several of that name; list it by its id", c.ID, strictyaml.Quote(reference))
	}
	return k
}
