package keystore

import (
	"fmt"
	"strings"
	"testing"
)

// TestLimitsCompared changes the limits of a key and of a chatflow, and what browser tokens may do. Each is seen as a
// change, and if something is missing afterwards, as a loss, such as a half-written file would cause.
func TestLimitsCompared(t *testing.T) {
	const key = "version: 1\nkeys:\n- id: a\n  sha256: ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\n%schatflows:\n- {id: x, keys: [a]}\n"
	const chatflow = "version: 1\nchatflows:\n- id: x\n  public: true\n%s"
	for _, tt := range []struct {
		file, was, is  string
		changes, loses bool
	}{
		{key, "limits: {concurrent: 1}", "limits: {concurrent: 1}", false, false},
		{key, "", "limits: {concurrent: 1}", true, false},
		{key, "limits: {concurrent: 1}", "", true, true},
		{key, "limits: {concurrent: 1}", "limits: {concurrent: 2}", true, false},
		{key, "limits: {concurrent: 1, stream: 1m}", "limits: {concurrent: 1}", true, true},
		{key, "limits: {concurrent: 1, stream: 1m}", "limits: {stream: 1m}", true, true},
		{key, "limits: {requests: [1/1s, 10/1h]}", "limits: {requests: [10/1h, 1/1s]}", false, false},
		{key, "limits: {requests: [1/1s, 10/1h]}", "limits: {requests: 10/1h}", true, true},
		{key, "limits: {requests: [1/1s, 10/day]}", "limits: {requests: 1/1s}", true, true},
		{key, "limits: {requests: 10/day}", "limits: {requests: 20/day}", true, false},
		{key, "limits: {concurrent: 1, enforce: false}", "limits: {concurrent: 1}", true, false},
		{key, "limits: {concurrent: 1}", "limits: {concurrent: 1, enforce: false}", true, true},
		{key, "", "from: [10.0.0.0/8]", true, false},
		{key, "from: [10.0.0.0/8]", "from: [10.0.0.0/9]", true, false},
		{key, "from: [10.0.0.0/8]", "", true, true},
		{key, "groups: [predict]", "groups: [widget]", true, false},
		{key, "groups: [predict]", "", true, true},
		{key, "", "browser: {origins: [https://a.example]}", true, false},
		{key, "browser: {origins: [https://a.example]}", "", true, true},
		{key, "browser: {origins: [https://a.example]}", "browser: {origins: [https://a.example], max_ttl: 15m, cookie: false}", false, false},
		{key, "browser: {origins: [https://a.example]}", "browser: {origins: [https://a.example, https://b.example]}", true, false},
		{key, "browser: {origins: [https://a.example, https://b.example]}", "browser: {origins: [https://b.example]}", true, true},
		{key, "browser: {origins: [https://a.example], max_ttl: 1m}", "browser: {origins: [https://a.example], max_ttl: 2m}", true, false},
		{key, "browser: {origins: [https://a.example], max_ttl: 1m}", "browser: {origins: [https://a.example]}", true, true},
		{key, "browser: {origins: [https://a.example], allow: [uploads]}", "browser: {origins: [https://a.example]}", true, true},
		{key, "browser: {origins: [https://a.example]}", "browser: {origins: [https://a.example], allow: [uploads]}", true, false},
		{key, "browser: {origins: [https://a.example], cookie: true}", "browser: {origins: [https://a.example]}", true, true},
		{key, "browser: {origins: [https://a.example]}", "browser: {origins: [https://a.example], cookie: true}", true, false},
		{key, "browser: {origins: [https://a.example], per_user: {concurrent: 1}}", "browser: {origins: [https://a.example]}", true, true},
		{key, "browser: {origins: [https://a.example], per_user: {concurrent: 1}}", "browser: {origins: [https://a.example], per_user: {concurrent: 2}}", true, false},
		{key, "", "owner: Jane", true, false},
		{key, "owner: Jane", "owner: Joe", true, false},
		{key, "owner: Jane", "", true, true},
		{key, "", "honey: true", true, false},
		{key, "honey: true", "", true, true},
		{key, "honey: false", "", false, false},
		{chatflow, "", "limits: {concurrent: 1}", true, false},
		{chatflow, "limits: {concurrent: 1}", "", true, true},
		{chatflow, "limits: {concurrent: 1, per_client: {concurrent: 1}}", "limits: {concurrent: 1}", true, true},
		{chatflow, "", "on_disconnect: abort", true, false},
		{chatflow, "on_disconnect: abort", "on_disconnect: drain", true, true},
		{chatflow, "", "on_disconnect: drain", false, false},
		{chatflow, "limits: {per_client: {concurrent: 1}}", "limits: {per_client: {concurrent: 1, requests: 1/1s}}", true, false},
	} {
		parse := func(fields string) *Snapshot {
			t.Helper()
			if fields != "" {
				fields = "  " + fields + "\n"
			}
			s, err := Parse("keys.yaml", fmt.Appendf(nil, tt.file, fields))
			if err != nil {
				t.Fatalf("Parse(%q) = %v", fields, err)
			}
			return s
		}
		d, loses := compare(parse(tt.was), parse(tt.is))
		if got := !d.Empty(); got != tt.changes || loses != tt.loses {
			t.Errorf("compare(%q, %q): changes %t, loses %t, want %t, %t", tt.was, tt.is, got, loses, tt.changes, tt.loses)
		}
	}
}

func TestLimitsString(t *testing.T) {
	s, err := Parse("keys.yaml", []byte("version: 1\nchatflows:\n- id: x\n  public: true\n  limits: {requests: [600/1h, 3/90s, 10/day], bytes: 1KiB/week, stream_seconds: 5/month, concurrent: 2, stream: 10m, enforce: false}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := s.Chatflow("x")
	const want = "3/1m30s requests, 600/1h requests, 10/day requests, 5/month stream seconds, 1KiB/week bytes, 2 at once, 10m a response, not enforced"
	if got := c.Limits.String(); got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got := c.ClientLimits.String(); got != "none" {
		t.Errorf("String() of no limits = %q, want none", got)
	}
}

func TestParseLimits(t *testing.T) {
	for text, want := range map[string]string{
		"requests: [10/1s, 5/day], concurrent: 4": "10/1s requests, 5/day requests, 4 at once",
		`"stream": "10m"`:                         "10m a response",
	} {
		if l, err := ParseLimits(text); err != nil || l.String() != want {
			t.Errorf("ParseLimits(%q) = %v, %v, want %s", text, l, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "limits: nothing is limited", "requests: 10": `requests: "10" does not say in what time`, "per_client: {}": `no field "per_client"`,
		"requests: [1/1s]}, x: {": "second", "concurrent: 0, stream: 1": "concurrent: \"0\" is not a whole number", "[": "not YAML",
	} {
		if l, err := ParseLimits(text); err == nil || !strings.Contains(err.Error(), want) && want != "second" {
			t.Errorf("ParseLimits(%q) = %v, %v, want %q", text, l, err, want)
		}
	}
}
