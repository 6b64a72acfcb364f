package edit

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore"
)

// RotateKey returns the key file data with one more secret for the key id. Its other secrets expire at until, unless they
// expire earlier. file is the name to use in errors.
func RotateKey(file string, data []byte, id string, digest keystore.Digest, until time.Time) ([]byte, error) {
	key, err := enabledKey(file, data, id, ", so a new secret would not open anything")
	if err != nil {
		return nil, err
	}
	if key.Honey {
		return nil, fmt.Errorf("%s:%d: key %q is a honey key, so a new secret would not open anything; plant another one in its place", file, key.Line, id)
	}
	if end := key.OwnNotAfter(); !end.IsZero() && !end.After(until) {
		return nil, fmt.Errorf("%s:%d: key %q itself expires at %s, its new secret with it; raise its not_after in the key file first", file, key.Line, id, end.Format(time.RFC3339))
	}
	until = until.UTC().Truncate(time.Second)
	e := newEditor(file, data)
	var expiring []int // indexes of secrets
	for i, s := range key.Secrets() {
		if expiresAfter(until, s) {
			expiring = append(expiring, i)
			e.step(func() { e.expireSecret(e.entry("keys", id), i, until.Format(time.RFC3339)) })
		}
	}
	e.step(func() { e.addSecret(e.entry("keys", id), digest) })
	return e.result(func(file fields) {
		k := file.entry("keys", id)
		for _, name := range []string{"sha256", "secret"} { // if the key has its only secret beside its ID
			if only := k[name]; only != nil {
				k.add("secrets", fields{name: only})
				delete(k, name)
			}
		}
		secrets, _ := k["secrets"].([]any)
		for _, i := range expiring {
			secrets[i].(fields)["not_after"] = until.Format(time.RFC3339)
		}
		k.add("secrets", fields{"sha256": digest.String()})
	})
}

func expiresAfter(t time.Time, s keystore.Secret) bool {
	return s.NotAfter().IsZero() || s.NotAfter().After(t)
}

// expireSecret makes the i-th secret of a key expire at until. A key that has its only secret beside its ID gets a list
// of secrets.
func (e *editor) expireSecret(key *yaml.Node, i int, until string) {
	if _, list := field(key, "secrets"); list != nil {
		if list.Kind != yaml.SequenceNode || i >= len(list.Content) || list.Content[i].Kind != yaml.MappingNode {
			e.fail("the secrets in line %d are not written as a list", list.Line)
			return
		}
		e.setField(list.Content[i], "not_after", e.word(until))
		return
	}
	name, value := field(key, "sha256")
	if name == nil {
		name, value = field(key, "secret")
	}
	if name == nil {
		e.fail("a key has its secret behind an alias")
		return
	}
	at, end := e.begin(name), e.end(value)
	if inBrackets(key) {
		e.insert(at, e.field("secrets", "[{"))
		e.insert(end, ", "+e.field("not_after", e.word(until))+"}]")
		return
	}
	indent := strings.Repeat(" ", name.Column-1)
	e.insert(at, "secrets:\n"+indent+"  - ")
	e.insertBelow(value, indent+"    not_after: "+until+"\n")
}

// addSecret adds a secret to a key's list of them.
func (e *editor) addSecret(key *yaml.Node, digest keystore.Digest) {
	_, list := field(key, "secrets")
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		e.fail("a key has no list of secrets") // all secrets had expired, so expireSecret made none
		return
	}
	item := list.Content[len(list.Content)-1]
	if inBrackets(list) {
		e.appendTo(list, e.inBraces(item, []string{e.field("sha256", e.word(digest.String()))}))
		return
	}
	e.insertBelow(list, e.dashIndent(item)+"- sha256: "+digest.String()+"\n")
}
