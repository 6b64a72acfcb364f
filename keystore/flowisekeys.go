package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// apiKey is one entry of Flowise's api.json, as Flowise 1.x, 2.x and 3.0.0 write it
// (packages/server/src/utils/apiKey.ts at 2.2.8). The file holds every key in plain text.
type apiKey struct {
	ID     string `json:"id"`
	Name   string `json:"keyName"`
	APIKey string `json:"apiKey"`
}

// flowiseDefault is the name of the key that Flowise makes when it has no file of keys, or cannot
// read the one it has.
const flowiseDefault = "DefaultKey"

// flowiseKeysPath returns the file that `flowise_api_keys` names: the file itself, or the folder it
// is in, as Flowise's APIKEY_PATH. A relative path begins at the key file's folder.
func flowiseKeysPath(keyFile, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(keyFile), path)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() || filepath.Ext(path) != ".json" {
		return filepath.Join(path, "api.json")
	}
	return path
}

// parseFlowiseKeys reads an api.json. Flowise rewrites the file in place, so a part of it is what a
// reader may well meet: anything but one whole array is an error.
func parseFlowiseKeys(data []byte) ([]apiKey, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	var keys []apiKey
	if err := d.Decode(&keys); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("the file ends too early; it may not be written whole yet")
		}
		return nil, fmt.Errorf("not Flowise's file of keys: %w", hideValue(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not Flowise's file of keys: something follows the list")
	}
	if keys == nil {
		return nil, errors.New("not Flowise's file of keys: it holds no list")
	}
	return keys, nil
}

// hideValue keeps what the file holds out of an error.
func hideValue(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%q is not text (at byte %d)", wrong.Field, wrong.Offset)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON (at byte %d)", syntax.Offset)
	}
	return errors.New("not JSON")
}

// flowiseKeys are the keys of Flowise that a key file may name, by name and by ID.
type flowiseKeys struct {
	byName map[string]*Key // nil for a name that several keys have
	byID   map[string]*Key
}

// readFlowise reads Flowise's own file of keys.
func (p *parser) readFlowise() {
	path, ok := p.Text(p.source, "flowise_api_keys")
	if !ok {
		return
	}
	path = flowiseKeysPath(p.snapshot.File, path)
	p.snapshot.flowisePath = path
	if p.options.flowise == nil {
		return
	}
	data, err := p.options.flowise(path)
	if err != nil {
		p.Fault(p.source, "flowise_api_keys: %v", err)
		return
	}
	keys, err := parseFlowiseKeys(data)
	if err != nil {
		p.Fault(p.source, "flowise_api_keys: %s: %v", path, err)
		return
	}
	p.addFlowiseKeys(p.source.Line, keys)
}

// addFlowiseKeys makes keys of what api.json holds. What cannot be used is left out with a warning:
// the file belongs to Flowise, and one odd key in it is no reason to keep the others out of date.
func (p *parser) addFlowiseKeys(line int, entries []apiKey) {
	p.flowise = &flowiseKeys{byName: map[string]*Key{}, byID: map[string]*Key{}}
	if len(entries) == 1 && entries[0].Name == flowiseDefault {
		p.snapshot.flowiseFresh = entries[0].ID
	}
	for i, entry := range entries {
		what := fmt.Sprintf("key %d of Flowise's file", i+1)
		if ValidateID(entry.ID) != nil {
			p.Warn(line, "%s has no usable id and is left out", what)
			continue
		}
		if ValidateID(entry.Name) == nil {
			what = fmt.Sprintf("Flowise's key %q", entry.Name)
		} else {
			what = fmt.Sprintf("Flowise's key with id %q", entry.ID)
		}
		if err := ValidateSecret(entry.APIKey); err != nil {
			p.Warn(line, "%s is left out: %v", what, err)
			continue
		}
		digest := DigestOf(entry.APIKey)
		if other := p.snapshot.byDigest.get(digest); other != nil {
			p.Warn(line, "%s is left out: its secret is that of key %q", what, other.key.ID)
			continue
		}
		if p.flowise.byID[entry.ID] != nil {
			p.Warn(line, "%s is left out: its id is there twice", what)
			continue
		}
		k := &Key{ID: p.flowiseID(entry), Flowise: entry.ID, Line: line, valid: always}
		k.secrets = []Secret{{Digest: digest, valid: always, key: k}}
		p.snapshot.byDigest.put(&k.secrets[0])
		p.flowise.byID[entry.ID] = k
		if _, twice := p.flowise.byName[entry.Name]; twice {
			p.flowise.byName[entry.Name] = nil
		} else {
			p.flowise.byName[entry.Name] = k
		}
		p.keyByID[k.ID] = k
		p.addKey(k)
	}
}

// flowiseID returns the ID that stands in logs for a key of Flowise: its name, if that can be an ID
// and is nobody else's, or else Flowise's id.
func (p *parser) flowiseID(entry apiKey) string {
	if ValidateID(entry.Name) == nil && p.keyByID[entry.Name] == nil {
		return entry.Name
	}
	if p.keyByID[entry.ID] == nil {
		return entry.ID
	}
	return "flowise-" + entry.ID
}

// flowiseKey returns the key of Flowise that chatflow c lists at n by its id or its name, or nil. One
// that is not there was deleted in Flowise's dashboard or is not made yet: it opens nothing, and that
// is no fault.
func (p *parser) flowiseKey(c *Chatflow, n *yaml.Node, reference string) *Key {
	if p.flowise == nil { // not read
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

// wasReset reports whether next looks as if Flowise had lost its file of keys: none of the keys it
// had is there, and the only one is a fresh DefaultKey. That is what Flowise writes when it cannot
// read the file, and not what anybody does in its dashboard.
func wasReset(old, next *Snapshot) bool {
	had := false
	for _, k := range old.Keys() {
		if k.Flowise != "" && k.Flowise == next.flowiseFresh {
			return false
		}
		had = had || k.Flowise != ""
	}
	return had && next.flowiseFresh != ""
}
