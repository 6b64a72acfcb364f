package keystore

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// BodyPolicy says what the callers of a chatflow may put into the body of a request. The zero value
// limits nothing.
type BodyPolicy struct {
	// JSONOnly refuses bodies that are anything but plain JSON in UTF-8: forms, uploads, compressed ones.
	JSONOnly bool
	// Deny are members that the JSON object must not have at its top. If there are any, JSONOnly is set.
	Deny []string
}

func (b BodyPolicy) equal(o BodyPolicy) bool {
	return b.JSONOnly == o.JSONOnly && slices.Equal(b.Deny, o.Deny)
}

// lacks reports whether o denies less than b does.
func (b BodyPolicy) lacks(o BodyPolicy) bool {
	return b.JSONOnly && !o.JSONOnly || slices.ContainsFunc(b.Deny, func(d string) bool { return !slices.Contains(o.Deny, d) })
}

// bodyPolicy reads what stands under a chatflow's body.
func (p *parser) bodyPolicy(c *Chatflow, n *yaml.Node) {
	var jsonOnly *yaml.Node
	if !p.Mapping(n, "body", func(field string, n *yaml.Node) bool {
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
		p.Fault(jsonOnly, "json_only: false together with deny: members can be denied in JSON alone; leave json_only out or make it true")
	}
	c.Body.JSONOnly = true
}

// deny reads the name of a member that a body must not have.
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
