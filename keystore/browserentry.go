package keystore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/origin"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// browserFields are the fields of `browser:` in the file; those it does not have are nil.
type browserFields struct {
	Origins, Allow, Cookie *yaml.Node
	MaxTTL                 *yaml.Node `yaml:"max_ttl"`
	PerUser                *yaml.Node `yaml:"per_user"`
}

var inBrowser = strictyaml.FieldsOf[browserFields](nil)

// browser reads what browser tokens of a key may do.
func (p *parser) browser(n *yaml.Node) *Browser {
	f, ok := inBrowser.Read(p.Decoder, n, "browser")
	if !ok {
		return nil
	}
	b := &Browser{
		Origins: list(p, f.Origins, "origins", parseOrigin), Allow: list(p, f.Allow, "allow", parseAllowed),
		PerUser: p.memberLimits(f.PerUser, "per_user", "a user", "the key"), Cookie: p.Bool(f.Cookie, "cookie"),
	}
	ttl, _ := scalar(p, f.MaxTTL, "max_ttl", parseBrowserTTL)
	b.MaxTTL = cmp.Or(ttl, DefaultBrowserTTL)
	if isEmpty(f.Origins) {
		p.Fault(cmp.Or(f.Origins, n), "browser: no origins; list those of the pages that may use its tokens, such as https://www.example.com")
	}
	deny := slices.DeleteFunc(slices.Clone(BrowserMembers), func(name string) bool { return slices.Contains(b.Allow, name) })
	b.Body = BodyPolicy{JSONOnly: len(deny) > 0, Deny: deny}
	return b
}

// parseOrigin reads the origin of pages that may use a token.
func parseOrigin(v string) (string, error) {
	if !isOrigin(v) {
		return "", fmt.Errorf("%s is not an origin as browsers send it: https:// or http://, a host in lower case, a port unless it is the usual one, and nothing after it", strictyaml.Quote(v))
	}
	return v, nil
}

// isOrigin reports whether s is the origin of a web page.
func isOrigin(s string) bool {
	return origin.Is(s) && (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://"))
}

// parseAllowed reads a member that a page may send.
func parseAllowed(v string) (string, error) {
	if !slices.Contains(BrowserMembers, v) {
		return "", fmt.Errorf("%s is none of %s", strictyaml.Quote(v), strings.Join(BrowserMembers, ", "))
	}
	return v, nil
}

func parseBrowserTTL(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > maxBrowserTTL || d%time.Second != 0 {
		return 0, fmt.Errorf("%s is not a time in whole seconds from 1s to 24h, such as 15m", strictyaml.Quote(v))
	}
	return d, nil
}
