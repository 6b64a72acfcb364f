package keystore

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// keyFields are the fields of a key in the file; those it does not have are nil.
type keyFields struct {
	ID, Secrets, Owner, Disabled, Honey, From, Groups, Limits, Browser *yaml.Node
	secretFields
}

// secretFields are the fields of a secret. They may also be written among the fields of its key.
type secretFields struct {
	SHA256, Secret *yaml.Node
	NotBefore      *yaml.Node `yaml:"not_before"`
	NotAfter       *yaml.Node `yaml:"not_after"`
}

var (
	inKey    = strictyaml.FieldsOf[keyFields](nil)
	inSecret = strictyaml.FieldsOf[secretFields](nil)
)

func (p *parser) key(n *yaml.Node) {
	p.file.Keys++
	f, ok := inKey.Read(p.Decoder, n, "a key")
	if !ok {
		return
	}
	terms := Terms{
		Owner: p.owner(f.Owner), From: list(p, f.From, "from", parseNetwork), Groups: list(p, f.Groups, "groups", anyText),
		Limits: p.limits(f.Limits, "limits"), Browser: p.browser(f.Browser),
	}
	k := &Key{
		ID: p.id(n, f.ID, "key"), Disabled: p.Bool(f.Disabled, "disabled"), Honey: p.Bool(f.Honey, "honey"), Terms: terms.orNone(),
		Line: n.Line, file: p.file,
		valid: p.window(f.secretFields), // without a list of secrets, these are also the times of the only secret
	}
	p.checkWindow(n, "", k.ID, k.valid)
	if first := p.keyByID[k.ID]; first != nil && k.ID != "" {
		p.twice(f.ID, first.file, first.Line, "key ID %q is used twice, first in %s; several secrets of one key go under `secrets:`", k.ID)
		return
	}
	switch {
	case f.Secrets == nil:
		if s, ok := p.secret(n, k.ID, f.secretFields); ok {
			s.valid = always
			k.secrets = []Secret{s}
		}
	case f.SHA256 != nil || f.Secret != nil:
		p.Fault(f.Secrets, "key %q has `secrets:` and a secret beside it; put all of them under `secrets:`", k.ID)
	default:
		p.Sequence(f.Secrets, "secrets", func(n *yaml.Node) { p.listedSecret(n, k) })
		if isEmpty(f.Secrets) {
			p.Fault(f.Secrets, "key %q has an empty list of secrets; `disabled: true` turns a key off", k.ID)
		}
	}
	p.addKey(n, k)
}

// maxText is the most characters of an owner, or of a name that somebody gives a chatflow.
const maxText = 200

// ValidateText returns an error if s cannot be the owner of a key, or the name that somebody gives a chatflow. Both are
// free text, shown to people in terminals and on pages. The error begins with what.
func ValidateText(what, s string) error {
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return fmt.Errorf("%s: it has a line break or another character that cannot be shown; write it on one line", what)
	case utf8.RuneCountInString(s) > maxText:
		return fmt.Errorf("%s: it has %d characters, want at most %d", what, utf8.RuneCountInString(s), maxText)
	}
	return nil
}

func (p *parser) owner(n *yaml.Node) string {
	v, ok := p.Text(n, "owner")
	if err := ValidateText("owner", v); ok && err != nil {
		p.Fault(n, "%v", err)
		return ""
	}
	return v
}

// parseNetwork reads an address or network from which a key may be used.
func parseNetwork(v string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(v)
	if addr, e := netip.ParseAddr(v); e == nil && addr.Zone() == "" {
		network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil || network.Addr().Is4In6():
		err = fmt.Errorf("%s is neither an address nor a network such as 203.0.113.0/24 or 2001:db8::/32", strictyaml.Quote(v))
	case network != network.Masked():
		err = fmt.Errorf("%s is an address in a network; write %s for the network, or the address alone", strictyaml.Quote(v), network.Masked())
	}
	return network, err
}

// anyText reads the name of a route group. Package proxy knows which ones there are.
func anyText(v string) (string, error) { return v, nil }

// addKey adds k, the key at n, to the snapshot.
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
	f, ok := inSecret.Read(p.Decoder, n, "a secret")
	if !ok {
		return
	}
	s, ok := p.secret(n, k.ID, f)
	if !ok {
		return
	}
	s.valid = p.window(f)
	p.checkWindow(n, "a secret of ", k.ID, s.valid)
	switch {
	case s.valid.until <= k.valid.from:
		p.Warn(n.Line, "a secret of key %q can never be used: it expires before the key becomes valid", k.ID)
	case s.valid.from >= k.valid.until:
		p.Warn(n.Line, "a secret of key %q can never be used: it becomes valid after the key has expired", k.ID)
	}
	k.secrets = append(k.secrets, s)
}

// window reads the time in which something is valid.
func (p *parser) window(f secretFields) window {
	w := always
	if from, ok := scalar(p, f.NotBefore, "not_before", unixNano); ok {
		w.from = from
	}
	if until, ok := scalar(p, f.NotAfter, "not_after", unixNano); ok {
		w.until = until
	}
	return w
}

// unixNano reads a time, in nanoseconds since 1970.
func unixNano(v string) (int64, error) {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return 0, fmt.Errorf("%s is not a time as RFC 3339 writes it, such as 2027-01-31T00:00:00Z", strictyaml.Quote(v))
	}
	if year := t.UTC().Year(); year < 1970 || year > 2261 { // what fits into 64 bits of nanoseconds
		return 0, fmt.Errorf("%s is not between 1970 and 2261; leave the line out if there is no limit", strictyaml.Quote(v))
	}
	return t.UnixNano(), nil
}

func (p *parser) checkWindow(n *yaml.Node, of, key string, w window) {
	if w.from >= w.until {
		p.Fault(n, "%skey %q is never valid: its not_before is not earlier than its not_after", of, key)
	}
}

// secret makes a secret from its fields at n, without its times. ok reports whether it is valid.
func (p *parser) secret(n *yaml.Node, key string, f secretFields) (s Secret, ok bool) {
	var err error
	at := f.SHA256
	switch {
	case f.SHA256 == nil && f.Secret == nil:
		p.Fault(n, "key %q has no secret: give its digest as `sha256:` (or several under `secrets:`)", key)
		return s, false
	case f.SHA256 != nil && f.Secret != nil:
		p.Fault(f.Secret, "key %q has both `sha256:` and `secret:`; keep `sha256:`", key)
		return s, false
	case f.SHA256 != nil:
		v, isText := p.Text(f.SHA256, "sha256")
		if !isText {
			return s, false
		}
		s.Digest, err = ParseDigest(v)
	default:
		v, isText := p.Text(f.Secret, "secret")
		if !isText {
			return s, false
		}
		at, err = f.Secret, ValidateSecret(v)
		s.Digest, s.Plain = DigestOf(v), true
	}
	if err != nil {
		p.Fault(at, "key %q: %v", key, err)
		return s, false
	}
	if s.Plain {
		p.file.plain = true
		p.Warn(at.Line, "key %q has its secret in plain text; its digest works the same and reveals nothing (`flowlatch check` prints it)", key)
	}
	return s, true
}
