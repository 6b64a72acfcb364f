package keystore

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/origin"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

var browserFields = []string{"origins", "max_ttl", "allow", "per_user", "cookie"}

// browser reads what browser tokens of a key may do.
func (p *parser) browser(n *yaml.Node) *Browser {
	b := &Browser{MaxTTL: DefaultBrowserTTL}
	var origins *yaml.Node
	if !p.Mapping(n, "browser", browserFields, func(field string, n *yaml.Node) bool {
		switch field {
		case "origins":
			origins = n
			p.Sequence(n, field, func(n *yaml.Node) { p.origin(b, n) })
		case "max_ttl":
			b.MaxTTL = p.browserTTL(n)
		case "allow":
			p.Sequence(n, field, func(n *yaml.Node) { p.allow(b, n) })
		case "per_user":
			b.PerUser = p.memberLimits(n, field, "a user", "the key")
		case "cookie":
			b.Cookie = p.Bool(n, field)
		default:
			return false
		}
		return true
	}) {
		return nil
	}
	if origins == nil || origins.Kind == yaml.SequenceNode && len(origins.Content) == 0 {
		p.Fault(cmp.Or(origins, n), "browser: no origins; list those of the pages that may use its tokens, such as https://www.example.com")
	}
	deny := slices.DeleteFunc(slices.Clone(BrowserMembers), func(name string) bool { return slices.Contains(b.Allow, name) })
	b.Body = BodyPolicy{JSONOnly: len(deny) > 0, Deny: deny}
	return b
}

// origin reads the origin of pages that may use a token.
func (p *parser) origin(b *Browser, n *yaml.Node) {
	v, ok := p.Text(n, "origins")
	switch {
	case !ok:
	case !isOrigin(v):
		p.Fault(n, "origins: %s is not an origin as browsers send it: https:// or http://, a host in lower case, a port unless it is the usual one, and nothing after it", strictyaml.Quote(v))
	case slices.Contains(b.Origins, v):
		p.Fault(n, "origins: %s is listed twice", v)
	default:
		b.Origins = append(b.Origins, v)
	}
}

// isOrigin reports whether s is the origin of a page of the web.
func isOrigin(s string) bool {
	return origin.Is(s) && (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://"))
}

// allow reads a member that a page may send.
func (p *parser) allow(b *Browser, n *yaml.Node) {
	v, ok := p.Text(n, "allow")
	switch {
	case !ok:
	case !slices.Contains(BrowserMembers, v):
		p.Fault(n, "allow: %s is none of %s", strictyaml.Quote(v), strings.Join(BrowserMembers, ", "))
	case slices.Contains(b.Allow, v):
		p.Fault(n, "allow: %s is listed twice", strictyaml.Quote(v))
	default:
		b.Allow = append(b.Allow, v)
	}
}

func (p *parser) browserTTL(n *yaml.Node) time.Duration {
	v, ok := p.Text(n, "max_ttl")
	if !ok {
		return DefaultBrowserTTL
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > maxBrowserTTL || d%time.Second != 0 {
		p.Fault(n, "max_ttl: %s is not a time in whole seconds from 1s to 24h, such as 15m", strictyaml.Quote(v))
		return DefaultBrowserTTL
	}
	return d
}
