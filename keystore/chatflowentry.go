package keystore

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// chatflowFields are the fields of a chatflow in the file; those it does not have are nil.
type chatflowFields struct {
	ID, Name, Keys, Public, Body, Limits *yaml.Node
	UpstreamAuthorization                *yaml.Node `yaml:"upstream_authorization"`
	OnDisconnect                         *yaml.Node `yaml:"on_disconnect"`
}

var inChatflow = strictyaml.FieldsOf[chatflowFields](nil)

func (p *parser) chatflow(n *yaml.Node) {
	p.file.Chatflows++
	f, ok := inChatflow.Read(p.Decoder, n, "a chatflow")
	if !ok {
		return
	}
	c := &Chatflow{ID: EveryChatflow, Public: p.Bool(f.Public, "public"), Body: p.bodyPolicy(f.Body), Line: n.Line, file: p.file}
	if f.ID == nil || f.ID.Value != EveryChatflow || f.ID.Kind != yaml.ScalarNode {
		c.ID = p.id(n, f.ID, "chatflow")
	}
	c.Name, _ = p.Text(f.Name, "name")
	c.UpstreamAuthorization, _ = scalar(p, f.UpstreamAuthorization, "upstream_authorization", ParseUpstreamAuthorization)
	c.AbortOnDisconnect, _ = scalar(p, f.OnDisconnect, "on_disconnect", parseOnDisconnect)
	c.Limits, c.ClientLimits = p.chatflowLimits(f.Limits)
	listed := map[*Key]bool{}
	p.Sequence(f.Keys, "keys", func(n *yaml.Node) { p.keyOf(c, n, listed) })
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
	case !c.Public && isEmpty(f.Keys):
		p.Fault(n, "chatflow %q has neither `keys:` nor `public: true`; a chatflow that nobody may call is closed by not listing it", c.ID)
	}
	p.addChatflow(n, c)
}

// parseOnDisconnect reports whether on_disconnect is "abort". The only other value that is no error is "drain".
func parseOnDisconnect(v string) (abort bool, err error) {
	if v != "abort" && v != "drain" {
		err = fmt.Errorf("%s is neither drain nor abort", strictyaml.Quote(v))
	}
	return v == "abort", err
}

// keyOf adds the key that n names to chatflow c. listed are the keys that it has already.
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

// elsewhere returns a placeholder for a key of another file, in a file that is parsed alone. It is not among the keys of
// the snapshot.
func (p *parser) elsewhere(id string) *Key {
	k := &Key{ID: id, Terms: &noTerms, file: p.file, number: uint32(len(p.keyByID))} //nolint:gosec // no file holds four billion keys
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
