package strictyaml

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	fields := []string{"id", "sha256", "secret", "not_before", "not_after", "disabled", "secrets"}
	for name, want := range map[string]string{
		"sha265": "sha256", "secert": "secret", "Secret": "secret", "notafter": "not_after", "not-before": "not_before", "ID": "id", "disable": "disabled",
		"x": "", "ab": "", "owner": "", "": "", "if": "id", "completely-different": "", strings.Repeat("sha256", 1<<20): "",
	} {
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if got := DidYouMean(name, fields); got != want {
			t.Errorf("DidYouMean(%.40q) = %q, want %q", name, got, want)
		}
	}
}

// TestHints checks the hints for usual mistakes, besides the words of the YAML library.
func TestHints(t *testing.T) {
	for name, test := range map[string]struct{ data, want string }{
		"a tab":                         {"a:\n\tb: 1\n", "f:2: not YAML: found character that cannot start any token; the line is indented with a tab, and YAML takes spaces only"},
		"a tab after spaces":            {"a:\n  b: 1\n  \tc: 2\n", "; the line is indented with a tab"},
		"an @":                          {"a: @ops\n", "; a value that begins with @ or ` must be in quotes"},
		"a colon in a value":            {"a: b: c\n", "; is the line indented like its neighbours, and is a value with a colon in quotes?"},
		"a dash that is not in line":    {"a:\n  - b: 1\n - c: 2\n", "indented like its neighbours?"},
		"a field that is not in line":   {"a:\n  - b: 1\n   c: 2\n", "indented like its neighbours"},
		"a field without its own level": {"a:\n    b: 1\n  c: 2\n", "indented like its neighbours?"},
	} {
		d := Decoder{File: "f"}
		if n := d.Document([]byte(test.data)); n != nil || len(d.Faults) != 1 || !strings.Contains(d.Faults.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, d.Faults, test.want)
		}
	}
}
