package keystore

import (
	"strconv"

	"go.yaml.in/yaml/v4"
)

// key reads one entry under keys.
func (p *parser) key(n *yaml.Node) {
	k := &Key{Line: n.Line, valid: always}
	var id, secrets *yaml.Node
	own := Secret{valid: always}
	var digest, plain *yaml.Node
	if !p.Mapping(n, "a key", func(field string, n *yaml.Node) bool {
		switch field {
		case "id":
			id = n
		case "sha256":
			digest = n
		case "secret":
			plain = n
		case "secrets":
			secrets = n
		case "not_before":
			k.valid.from = p.time(n, "not_before", k.valid.from)
		case "not_after":
			k.valid.until = p.time(n, "not_after", k.valid.until)
		case "disabled":
			k.Disabled = p.Bool(n, "disabled")
		default:
			return false
		}
		return true
	}) {
		return
	}
	k.ID = p.id(n, id, "key")
	name := keyName(k.ID)
	p.ordered(n, "", name, k.valid)
	if first := p.keyByID[k.ID]; first != nil && k.ID != "" {
		p.Fault(id, "key ID %q is used twice, first in line %d; several secrets of one key go under `secrets:`", k.ID, first.Line)
		return
	}
	switch {
	case secrets == nil:
		if p.secret(n, name, digest, plain, &own) {
			k.secrets = []Secret{own}
		}
	case digest != nil || plain != nil:
		p.Fault(secrets, "%s has `secrets:` and a secret beside it; put all of them under `secrets:`", name)
	default:
		p.Sequence(secrets, "secrets", func(n *yaml.Node) { p.listedSecret(n, k) })
		if secrets.Kind == yaml.SequenceNode && len(secrets.Content) == 0 {
			p.Fault(secrets, "%s has an empty list of secrets; `disabled: true` turns a key off", name)
		}
	}
	p.keyByID[k.ID] = k
	p.addKey(k)
	for i := range k.secrets {
		p.index(n, k, &k.secrets[i])
	}
}

// keyName is a key's ID, which in a message is named so.
type keyName string

func (k keyName) String() string { return "key " + strconv.Quote(string(k)) }

func (p *parser) addKey(k *Key) {
	k.number = uint32(len(p.snapshot.keys)) //nolint:gosec // four thousand million keys do not fit into a file
	p.snapshot.keys = append(p.snapshot.keys, k)
}

func (p *parser) listedSecret(n *yaml.Node, k *Key) {
	name := keyName(k.ID)
	s := Secret{valid: always}
	var digest, plain *yaml.Node
	if p.Mapping(n, "a secret", func(field string, n *yaml.Node) bool {
		switch field {
		case "sha256":
			digest = n
		case "secret":
			plain = n
		case "not_before":
			s.valid.from = p.time(n, "not_before", s.valid.from)
		case "not_after":
			s.valid.until = p.time(n, "not_after", s.valid.until)
		default:
			return false
		}
		return true
	}) && p.secret(n, name, digest, plain, &s) {
		p.ordered(n, "a secret of ", name, s.valid)
		p.within(n, name, s.valid, k.valid)
		k.secrets = append(k.secrets, s)
	}
}

// secret fills in the digest of one secret from `sha256:` or `secret:`.
func (p *parser) secret(n *yaml.Node, name keyName, digest, plain *yaml.Node, s *Secret) bool {
	switch {
	case digest == nil && plain == nil:
		p.Fault(n, "%s has no secret: give its digest as `sha256:` (or several under `secrets:`)", name)
	case digest != nil && plain != nil:
		p.Fault(plain, "%s has both `sha256:` and `secret:`; keep `sha256:`", name)
	case digest != nil:
		v, ok := p.Text(digest, "sha256")
		if !ok {
			return false
		}
		d, err := ParseDigest(v)
		if err != nil {
			p.Fault(digest, "%s: %v", name, err)
			return false
		}
		s.Digest = d
		return true
	default:
		v, ok := p.Text(plain, "secret")
		if !ok {
			return false
		}
		if err := ValidateSecret(v); err != nil {
			p.Fault(plain, "%s: %v", name, err)
			return false
		}
		s.Digest, s.Plain = DigestOf(v), true
		p.Warn(plain.Line, "%s has its secret in plain text; its digest in its place does the same and gives nothing away (`flowlatch check` shows it)", name)
		return true
	}
	return false
}

func (p *parser) index(n *yaml.Node, k *Key, s *Secret) {
	s.key = k
	switch other := p.snapshot.byDigest.get(s.Digest); {
	case other == nil:
		p.snapshot.byDigest.put(s)
	case other.key == k:
		p.Fault(n, "key %q has the same secret twice", k.ID)
	default:
		p.Fault(n, "key %q has the same secret as key %q in line %d; a secret belongs to one key", k.ID, other.key.ID, other.key.Line)
	}
}
