package keystore

import (
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

func (p *parser) bodyPolicy(c *Chatflow, n *yaml.Node) {
	var jsonOnly *yaml.Node
	if !p.Mapping(n, "body", []string{"json_only", "deny"}, func(field string, n *yaml.Node) bool {
		switch field {
		case "json_only":
			jsonOnly = n
			c.Body.JSONOnly = p.Bool(n, "json_only")
		case "deny":
			p.Sequence(n, "deny", func(n *yaml.Node) { p.deny(c, n) })
		default:
			return false
		}
		return true
	}) {
		return
	}
	if len(c.Body.Deny) == 0 {
		return
	}
	if jsonOnly != nil && !c.Body.JSONOnly {
		p.Fault(jsonOnly, "json_only: false together with deny: members can only be denied in JSON; leave json_only out or make it true")
	}
	c.Body.JSONOnly = true
}

func (p *parser) deny(c *Chatflow, n *yaml.Node) {
	name, ok := p.Text(n, "deny")
	switch {
	case !ok:
	case name == "":
		p.Fault(n, "deny: an empty name")
	case slices.Contains(c.Body.Deny, name):
		p.Fault(n, "deny: %s is listed twice", strictyaml.Quote(name))
	default:
		c.Body.Deny = append(c.Body.Deny, name)
	}
}
