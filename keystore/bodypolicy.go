package keystore

import (
	"errors"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// BodyPolicy says what the clients of a chatflow may put into the body of a request. The zero value
// allows everything.
type BodyPolicy struct {
	// JSONOnly refuses bodies that are not uncompressed JSON in UTF-8, such as forms and uploads.
	JSONOnly bool
	// Deny are top-level members that the JSON object must not have. If there are any, JSONOnly is true.
	Deny []string
}

// And returns what both b and o allow.
func (b BodyPolicy) And(o BodyPolicy) BodyPolicy {
	both := BodyPolicy{JSONOnly: b.JSONOnly || o.JSONOnly, Deny: b.Deny}
	switch {
	case len(b.Deny) == 0:
		both.Deny = o.Deny
	case len(o.Deny) > 0:
		both.Deny = slices.Concat(b.Deny, o.Deny)
	}
	return both
}

// lacks reports whether b allows something that o denies.
func (b BodyPolicy) lacks(o BodyPolicy) bool {
	return o.JSONOnly && !b.JSONOnly || slices.ContainsFunc(o.Deny, func(d string) bool { return !slices.Contains(b.Deny, d) })
}

// bodyFields are the fields of a body policy in the file; those it does not have are nil.
type bodyFields struct {
	JSONOnly *yaml.Node `yaml:"json_only"`
	Deny     *yaml.Node
}

var inBody = strictyaml.FieldsOf[bodyFields](nil)

func (p *parser) bodyPolicy(n *yaml.Node) BodyPolicy {
	f, _ := inBody.Read(p.Decoder, n, "body")
	b := BodyPolicy{JSONOnly: p.Bool(f.JSONOnly, "json_only"), Deny: list(p, f.Deny, "deny", parseDenied)}
	if len(b.Deny) == 0 {
		return b
	}
	if f.JSONOnly != nil && !b.JSONOnly {
		p.Fault(f.JSONOnly, "json_only: false together with deny: members can only be denied in JSON; leave json_only out or make it true")
	}
	b.JSONOnly = true
	return b
}

func parseDenied(name string) (string, error) {
	if name == "" {
		return "", errors.New("an empty name")
	}
	return name, nil
}
