package keystore

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

var chatflowFields = []string{"id", "name", "keys", "public", "upstream_authorization", "body", "limits", "on_disconnect"}

func (p *parser) chatflow(n *yaml.Node) {
	p.file.Chatflows++
	c := &Chatflow{file: p.file, Line: n.Line}
	var id, keys *yaml.Node
	if !p.Mapping(n, "a chatflow", chatflowFields, func(field string, n *yaml.Node) bool {
		switch field {
		case "id":
			id = n
		case "name":
			c.Name, _ = p.Text(n, "name")
		case "keys":
			keys = n
		case "public":
			c.Public = p.Bool(n, "public")
		case "upstream_authorization":
			p.upstreamAuthorization(c, n)
		case "body":
			p.bodyPolicy(c, n)
		case "limits":
			c.Limits = p.limits(n, "limits", &c.ClientLimits)
		case "on_disconnect":
			p.onDisconnect(c, n)
		default:
			return false
		}
		return true
	}) {
		return
	}
	if id != nil && id.Value == EveryChatflow && id.Kind == yaml.ScalarNode {
		c.ID = EveryChatflow
	} else {
		c.ID = p.id(n, id, "chatflow")
	}
	if keys != nil {
		listed := map[*Key]bool{}
		p.Sequence(keys, "keys", func(n *yaml.Node) { p.keyOf(c, n, listed) })
	}
	slices.SortFunc(c.keys, func(a, b *Key) int { return strings.Compare(a.ID, b.ID) })
	c.keys = slices.Clip(c.keys)
	c.numbers = make([]uint32, len(c.keys))
	for i, k := range c.keys {
		c.numbers[i] = k.number
	}
	slices.Sort(c.numbers)
	switch {
	case c.ID == EveryChatflow && c.Public:
		p.Fault(n, "chatflow \"*\" cannot be public: that would open every chatflow, those made tomorrow too; list the public ones by ID")
	case !c.Public && (keys == nil || keys.Kind == yaml.SequenceNode && len(keys.Content) == 0):
		p.Fault(n, "chatflow %q has neither `keys:` nor `public: true`; a chatflow that nobody may call is closed by not listing it", c.ID)
	}
	p.addChatflow(n, c)
}

func (p *parser) upstreamAuthorization(c *Chatflow, n *yaml.Node) {
	v, ok := p.Text(n, "upstream_authorization")
	if !ok {
		return
	}
	var err error
	if c.UpstreamAuthorization, err = ParseUpstreamAuthorization(v); err != nil {
		p.Fault(n, "upstream_authorization: %v", err)
	}
}

func (p *parser) onDisconnect(c *Chatflow, n *yaml.Node) {
	v, ok := p.Text(n, "on_disconnect")
	if ok && v != "abort" && v != "drain" {
		p.Fault(n, "on_disconnect: %s is neither drain nor abort", strictyaml.Quote(v))
	}
	c.AbortOnDisconnect = v == "abort"
}

// keyOf adds the key that n names to chatflow c, unless it is in listed.
func (p *parser) keyOf(c *Chatflow, n *yaml.Node, listed map[*Key]bool) {
	v, ok := p.Text(n, "a key ID")
	if !ok {
		return
	}
	k := p.keyByID[v]
	if p.flowise != nil && (k == nil || k.fromFlowise) {
		if k = p.flowiseKey(c, n, v); k == nil {
			return
		}
	}
	if k == nil && p.options.part {
		k = p.elsewhere(v)
	}
	switch {
	case k == nil:
		p.missing(c, n, v)
	case !listed[k]:
		listed[k] = true
		c.keys = append(c.keys, k)
	case !k.fromFlowise: // a key of Flowise may be listed by its name and by its ID
		p.Fault(n, "chatflow %q lists key %q twice", c.ID, v)
	}
}

// elsewhere returns what stands for a key of another file in one that is parsed alone. It is not among the keys of the snapshot.
func (p *parser) elsewhere(id string) *Key {
	k := &Key{ID: id, file: p.file, number: uint32(len(p.keyByID))} //nolint:gosec // no file holds four billion keys
	p.keyByID[id] = k
	return k
}

func (p *parser) addChatflow(n *yaml.Node, c *Chatflow) {
	s := p.snapshot
	if other := s.Entry(c.ID); other != nil && c.ID != "" {
		p.twice(n, other.file, other.Line, "chatflow %q is listed twice, first in %s; one entry lists all its keys", c.ID)
		return
	}
	s.chatflows = append(s.chatflows, c)
	s.public = s.public || c.Public
	if c.ID == EveryChatflow {
		s.every = c
		return
	}
	s.byID[c.ID] = c
}
