package keystore

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// The names of fields, to guess what was meant by others.
var (
	secretFields = []string{"sha256", "secret", "not_before", "not_after"}
	keyFields    = append([]string{"id", "secrets", "owner", "disabled", "honey", "from", "groups", "limits", "browser"}, secretFields...)
)

func (p *parser) key(n *yaml.Node) {
	p.file.Keys++
	k := &Key{file: p.file, Line: n.Line}
	own := secretEntry{valid: always}
	var id, secrets *yaml.Node
	if !p.Mapping(n, "a key", keyFields, func(field string, n *yaml.Node) bool {
		switch field {
		case "id":
			id = n
		case "secrets":
			secrets = n
		case "owner":
			p.owner(k, n)
		case "disabled":
			k.Disabled = p.Bool(n, "disabled")
		case "honey":
			k.Honey = p.Bool(n, "honey")
		case "from":
			p.Sequence(n, "from", func(n *yaml.Node) { p.network(k, n) })
		case "groups":
			p.Sequence(n, "groups", func(n *yaml.Node) { p.group(k, n) })
		case "limits":
			k.Limits = p.limits(n, "limits", nil)
		case "browser":
			k.Browser = p.browser(n)
		default:
			return p.secretField(&own, field, n)
		}
		return true
	}) {
		return
	}
	k.ID = p.id(n, id, "key")
	k.valid = own.valid // without a list of secrets, the times of the key are those of its secret
	p.checkWindow(n, "", k.ID, k.valid)
	if first := p.keyByID[k.ID]; first != nil && k.ID != "" {
		p.twice(id, first.file, first.Line, "key ID %q is used twice, first in %s; several secrets of one key go under `secrets:`", k.ID)
		return
	}
	switch {
	case secrets == nil:
		if s, ok := p.secret(n, k.ID, own); ok {
			s.valid = always
			k.secrets = []Secret{s}
		}
	case own.digest != nil || own.plain != nil:
		p.Fault(secrets, "key %q has `secrets:` and a secret beside it; put all of them under `secrets:`", k.ID)
	default:
		p.Sequence(secrets, "secrets", func(n *yaml.Node) { p.listedSecret(n, k) })
		if secrets.Kind == yaml.SequenceNode && len(secrets.Content) == 0 {
			p.Fault(secrets, "key %q has an empty list of secrets; `disabled: true` turns a key off", k.ID)
		}
	}
	p.addKey(n, k)
}

// maxText is the most characters of an owner.
const maxText = 200

// ValidateText returns an error if s cannot be the owner of a key, or the name that somebody gives a chatflow. It is free
// text, shown to people in terminals and on pages. The error begins with what.
func ValidateText(what, s string) error {
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return fmt.Errorf("%s: it has a line break or another character that cannot be shown; write it on one line", what)
	case utf8.RuneCountInString(s) > maxText:
		return fmt.Errorf("%s: it has %d characters, want at most %d", what, utf8.RuneCountInString(s), maxText)
	}
	return nil
}

func (p *parser) owner(k *Key, n *yaml.Node) {
	v, ok := p.Text(n, "owner")
	if !ok {
		return
	}
	if err := ValidateText("owner", v); err != nil {
		p.Fault(n, "%v", err)
		return
	}
	k.Owner = v
}

// network reads an address or network from which k may be used.
func (p *parser) network(k *Key, n *yaml.Node) {
	v, ok := p.Text(n, "from")
	if !ok {
		return
	}
	network, err := netip.ParsePrefix(v)
	if addr, e := netip.ParseAddr(v); e == nil && addr.Zone() == "" {
		network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil || network.Addr().Is4In6():
		p.Fault(n, "from: %s is neither an address nor a network such as 203.0.113.0/24 or 2001:db8::/32", strictyaml.Quote(v))
	case network != network.Masked():
		p.Fault(n, "from: %s is an address in a network; write %s for the network, or the address alone", strictyaml.Quote(v), network.Masked())
	case slices.Contains(k.From, network):
		p.Fault(n, "from: %s is listed twice", strictyaml.Quote(v))
	default:
		k.From = append(k.From, network)
	}
}

// group reads a route group that k may use. Which ones there are, package proxy knows.
func (p *parser) group(k *Key, n *yaml.Node) {
	v, ok := p.Text(n, "groups")
	switch {
	case !ok:
	case slices.Contains(k.Groups, v):
		p.Fault(n, "groups: %s is listed twice", strictyaml.Quote(v))
	default:
		k.Groups = append(k.Groups, v)
	}
}

// addKey adds k, which stands at n, to the snapshot.
func (p *parser) addKey(n *yaml.Node, k *Key) {
	s := p.snapshot
	k.number = uint32(len(s.keys)) //nolint:gosec // no file holds four billion keys
	s.keys = append(s.keys, k)
	p.keyByID[k.ID] = k
	if k.Browser != nil {
		s.browser[k.ID] = k
	}
	for i := range k.secrets {
		secret := &k.secrets[i]
		secret.key = k
		switch other := s.secrets[secret.Digest]; {
		case other == nil:
			s.secrets[secret.Digest] = secret
		case other.key == k:
			p.Fault(n, "key %q has the same secret twice", k.ID)
		default:
			p.twice(n, other.key.file, other.key.Line, "key %q has the same secret as key %q in %s; a secret belongs to one key", k.ID, other.key.ID)
		}
	}
}

// listedSecret reads one entry under a key's secrets.
func (p *parser) listedSecret(n *yaml.Node, k *Key) {
	e := secretEntry{valid: always}
	if !p.Mapping(n, "a secret", secretFields, func(field string, n *yaml.Node) bool { return p.secretField(&e, field, n) }) {
		return
	}
	s, ok := p.secret(n, k.ID, e)
	if !ok {
		return
	}
	p.checkWindow(n, "a secret of ", k.ID, s.valid)
	switch {
	case s.valid.until <= k.valid.from:
		p.Warn(n.Line, "a secret of key %q can never be used: it expires before the key becomes valid", k.ID)
	case s.valid.from >= k.valid.until:
		p.Warn(n.Line, "a secret of key %q can never be used: it becomes valid after the key has expired", k.ID)
	}
	k.secrets = append(k.secrets, s)
}

// secretEntry is what stands of one secret in the file.
type secretEntry struct {
	digest, plain *yaml.Node
	valid         window
}

// secretField reads a field that a secret has, wherever it stands.
func (p *parser) secretField(e *secretEntry, field string, n *yaml.Node) (known bool) {
	switch field {
	case "sha256":
		e.digest = n
	case "secret":
		e.plain = n
	case "not_before":
		e.valid.from = p.time(n, field, e.valid.from)
	case "not_after":
		e.valid.until = p.time(n, field, e.valid.until)
	default:
		return false
	}
	return true
}

func (p *parser) checkWindow(n *yaml.Node, of, key string, w window) {
	if w.from >= w.until {
		p.Fault(n, "%skey %q is never valid: its not_before is not earlier than its not_after", of, key)
	}
}

// secret makes a secret of what stands at n. ok reports whether it is valid.
func (p *parser) secret(n *yaml.Node, key string, e secretEntry) (s Secret, ok bool) {
	s.valid = e.valid
	switch {
	case e.digest == nil && e.plain == nil:
		p.Fault(n, "key %q has no secret: give its digest as `sha256:` (or several under `secrets:`)", key)
	case e.digest != nil && e.plain != nil:
		p.Fault(e.plain, "key %q has both `sha256:` and `secret:`; keep `sha256:`", key)
	case e.digest != nil:
		v, isText := p.Text(e.digest, "sha256")
		if !isText {
			return s, false
		}
		var err error
		if s.Digest, err = ParseDigest(v); err == nil {
			return s, true
		}
		p.Fault(e.digest, "key %q: %v", key, err)
	default:
		v, isText := p.Text(e.plain, "secret")
		if !isText {
			return s, false
		}
		err := ValidateSecret(v)
		if err == nil {
			s.Digest, s.Plain, p.file.plain = DigestOf(v), true, true
			p.Warn(e.plain.Line, "key %q has its secret in plain text; its digest works the same and reveals nothing (`flowlatch check` prints it)", key)
			return s, true
		}
		p.Fault(e.plain, "key %q: %v", key, err)
	}
	return s, false
}
