package keystore_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// view is everything that a snapshot means, in a form that cmp.Diff can compare. It leaves out places in the file, and
// whether a secret is there in plain text.
type view struct {
	Keys      []keyView
	Chatflows []chatflowView
	Public    bool
}

type keyView struct {
	ID, Owner           string
	Disabled, Honey     bool
	NotBefore, NotAfter string
	From, Groups        []string
	Limits              keystore.Limits
	Browser             *keystore.Browser
	Secrets             []secretView
}

type secretView struct{ Digest, NotBefore, NotAfter string }

type chatflowView struct {
	ID, Name, Upstream string
	Public             bool
	Keys               []string
	Body               keystore.BodyPolicy
	Limits, Client     keystore.Limits
	Abort              bool
}

func viewOf(s *keystore.Snapshot) view {
	v := view{Public: s.AnyPublic()}
	for _, k := range s.Keys() {
		kv := keyView{ID: k.ID, Owner: k.Owner, Disabled: k.Disabled, Honey: k.Honey, NotBefore: stamp(k.NotBefore()), NotAfter: stamp(k.OwnNotAfter())}
		for _, n := range k.From {
			kv.From = append(kv.From, n.String())
		}
		kv.Groups, kv.Limits, kv.Browser = k.Groups, valueOf(k.Limits), k.Browser
		for _, sec := range k.Secrets() {
			kv.Secrets = append(kv.Secrets, secretView{sec.Digest.String(), stamp(sec.NotBefore()), stamp(sec.NotAfter())})
		}
		v.Keys = append(v.Keys, kv)
	}
	for _, c := range s.Chatflows() {
		cv := chatflowView{ID: c.ID, Name: c.Name, Public: c.Public, Upstream: c.UpstreamAuthorization.String(), Body: c.Body}
		cv.Limits, cv.Client, cv.Abort = valueOf(c.Limits), valueOf(c.ClientLimits), c.AbortOnDisconnect
		for _, k := range c.Keys() {
			cv.Keys = append(cv.Keys, k.ID)
		}
		v.Chatflows = append(v.Chatflows, cv)
	}
	return v
}

func valueOf(l *keystore.Limits) keystore.Limits {
	if l == nil {
		return keystore.Limits{}
	}
	return *l
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// render writes v as a key file in the plainest way. Parse must read it back as v.
func render(v view) string {
	var b strings.Builder
	line := func(indent, name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, value)
		}
	}
	b.WriteString("version: 1\n")
	if len(v.Keys) > 0 {
		b.WriteString("keys:\n")
	}
	for _, k := range v.Keys {
		line("  - ", "id", quote(k.ID))
		line("    ", "not_before", k.NotBefore)
		line("    ", "not_after", k.NotAfter)
		if k.Disabled {
			line("    ", "disabled", "true")
		}
		if k.Honey {
			line("    ", "honey", "true")
		}
		if k.Owner != "" {
			line("    ", "owner", quote(k.Owner))
		}
		line("    ", "from", list(k.From))
		line("    ", "groups", list(k.Groups))
		line("    ", "limits", limits(k.Limits, ""))
		line("    ", "browser", browser(k.Browser))
		b.WriteString("    secrets:\n")
		for _, s := range k.Secrets {
			line("      - ", "sha256", quote(s.Digest))
			line("        ", "not_before", s.NotBefore)
			line("        ", "not_after", s.NotAfter)
		}
	}
	b.WriteString("chatflows:\n")
	for _, c := range v.Chatflows {
		line("  - ", "id", quote(c.ID))
		if c.Name != "" {
			line("    ", "name", quote(c.Name))
		}
		if c.Public {
			line("    ", "public", "true")
		}
		if c.Upstream != "" {
			line("    ", "upstream_authorization", quote(c.Upstream))
		}
		switch {
		case len(c.Body.Deny) > 0:
			line("    ", "body", "{deny: ["+strings.Join(quoteAll(c.Body.Deny), ", ")+"]}")
		case c.Body.JSONOnly:
			line("    ", "body", "{json_only: true}")
		}
		perClient := limits(c.Client, "")
		if perClient != "" {
			perClient = "per_client: " + perClient
		}
		line("    ", "limits", limits(c.Limits, perClient))
		if c.Abort {
			line("    ", "on_disconnect", "abort")
		}
		if len(c.Keys) > 0 {
			line("    ", "keys", "["+strings.Join(quoteAll(c.Keys), ", ")+"]")
		}
	}
	return b.String()
}

// browser writes b as a mapping in one line; empty if there is nothing to write.
func browser(b *keystore.Browser) string {
	if b == nil {
		return ""
	}
	fields := []string{"origins: " + list(b.Origins), "max_ttl: " + b.MaxTTL.String()}
	if len(b.Allow) > 0 {
		fields = append(fields, "allow: "+list(b.Allow))
	}
	if b.PerUser != nil {
		fields = append(fields, "per_user: "+limits(*b.PerUser, ""))
	}
	return "{" + strings.Join(append(fields, fmt.Sprintf("cookie: %t", b.Cookie)), ", ") + "}"
}

// limits writes l and one more field as a mapping in one line; empty if there is nothing to write.
func limits(l keystore.Limits, more string) string {
	var fields []string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name+": "+value)
		}
	}
	var amounts [keystore.Units][]string
	for _, r := range l.Rates {
		amounts[keystore.Requests] = append(amounts[keystore.Requests], r.String())
	}
	for _, q := range l.Quotas {
		amounts[q.Unit] = append(amounts[q.Unit], q.String())
	}
	for unit, amounts := range amounts {
		add(keystore.Unit(unit).String(), list(amounts))
	}
	if l.Concurrent > 0 {
		add("concurrent", strconv.Itoa(l.Concurrent))
	}
	if l.Stream > 0 {
		add("stream", l.Stream.String())
	}
	if l.Observe {
		add("enforce", "false")
	}
	if more != "" {
		fields = append(fields, more)
	}
	if fields == nil {
		return ""
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// list writes a list of words in one line; empty if there are none.
func list(items []string) string {
	if items == nil {
		return ""
	}
	return "[" + strings.Join(quoteAll(items), ", ") + "]"
}

// quote writes s as YAML whose escapes are also Go's.
func quote(s string) string { return strconv.QuoteToASCII(s) }

func quoteAll(list []string) []string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return quoted
}

func mustParse(t *testing.T, data string) *keystore.Snapshot {
	t.Helper()
	s, err := keystore.Parse("keys.yaml", []byte(data))
	if err != nil {
		t.Fatalf("Parse = %v, want no error, of\n%s", err, data)
	}
	return s
}

// digest is the digest of a made-up secret, as a key file holds it.
func digest(name string) string { return keystore.DigestOf(secret(name)).String() }

func secret(name string) string { return "secret-of-the-key-" + name }
