package flowise

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// everything is a Flowise in which each thing that can be reported occurs.
func everything() *Installation {
	return &Installation{
		URL: "http://127.0.0.1:3000", Version: "3.1.4",
		Chatflows: []Chatflow{
			{nth(2), "Support bot", "k1"},
			{nth(1), "Support bot", "k2"},
			{nth(3), "Support bot", ""},
			{nth(4), "two\nlines: # \"and\" \x1b[31mquotes\u202e\u2028\\", "k1"},
			{nth(5), "", "k3"},
			{nth(6), "", ""},
			{nth(7), "its key is gone", "deleted"},
			{nth(8), "its key has no secret", "k6"},
			{nth(9), "the same secret by another key", "k5"},
			{nth(10), nth(6), ""},
			{nth(11), strings.Repeat("long ", 100), "k1"},
			{strings.ToUpper(nth(12)), "upper case", "k1"},
			{"my-bot", "by hand", ""},
			{"a\nchatflows: []", "", "k4"},
		},
		Keys: []Key{
			{"k1", "Web", "RlRkXSExxCmVwWKPoiwYU0pyKtdYTYFcRU7pdzf5yBQ"},
			{"k2", "Web", "VwWKPoiwYU0pyKtdYTYFcRU7pdzf5yBQRlRkXSExxCm"},
			{"k3", "нич\"его\n- id: x", "short"},
			{"k4", "unused key", "PoiwYU0pyKtdYTYFcRU7pdzf5yBQRlRkXSExxCmVwWK"},
			{"k5", "Web again", "RlRkXSExxCmVwWKPoiwYU0pyKtdYTYFcRU7pdzf5yBQ"},
			{"k6", "no secret", ""},
		},
	}
}

func TestConvert(t *testing.T) {
	for _, tt := range []struct {
		name   string
		public bool
	}{{"closed", false}, {"public", true}} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Convert(everything(), "keys.yaml", tt.public)
			if err != nil {
				t.Fatalf("Convert() = %v, want no error", err)
			}
			var report bytes.Buffer
			if err := c.Report(&report); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+".golden.yaml", c.Text)
			golden(t, tt.name+".report.golden", report.Bytes())
			for _, k := range everything().Keys {
				if k.Secret != "" && bytes.Contains(append(c.Text, report.Bytes()...), []byte(k.Secret+" ")) {
					t.Errorf("a secret of key %s was written", k.ID)
				}
			}
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// The same Flowise gives the same file, in whatever order it lists things.
func TestConvertOrder(t *testing.T) {
	reversed := everything()
	for i, j := 0, len(reversed.Chatflows)-1; i < j; i, j = i+1, j-1 {
		reversed.Chatflows[i], reversed.Chatflows[j] = reversed.Chatflows[j], reversed.Chatflows[i]
	}
	for i, j := 0, len(reversed.Keys)-1; i < j; i, j = i+1, j-1 {
		reversed.Keys[i], reversed.Keys[j] = reversed.Keys[j], reversed.Keys[i]
	}
	want, err := Convert(everything(), "keys.yaml", true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Convert(reversed, "keys.yaml", true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want.Text), string(got.Text)); diff != "" {
		t.Errorf("Convert(the other way round) (-want +got):\n%s", diff)
	}
}

func TestConvertNothingOpen(t *testing.T) {
	for _, tt := range []struct {
		name      string
		chatflows []Chatflow
		public    bool
		want      error
	}{
		{"no chatflow", nil, true, ErrNothingOpen},
		{"no chatflow has a key", []Chatflow{{nth(1), "a", ""}}, false, ErrNothingOpen},
		{"no chatflow has a key, and public stays", []Chatflow{{nth(1), "a", ""}}, true, nil},
		{"its key is gone", []Chatflow{{nth(1), "a", "gone"}}, true, ErrNothingOpen},
		{"its ID is no UUID", []Chatflow{{"a", "a", "k1"}}, true, ErrNothingOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Convert(&Installation{URL: "http://h", Chatflows: tt.chatflows, Keys: everything().Keys}, "keys.yaml", tt.public)
			if !errors.Is(err, tt.want) || (len(c.Text) == 0) != (tt.want != nil) {
				t.Errorf("Convert() = %q, %v, want %v and a file without it", c.Text, err, tt.want)
			}
			var report bytes.Buffer
			if err := c.Report(&report); err != nil || report.Len() == 0 {
				t.Errorf("Report() = %q, %v, want something", report.String(), err)
			}
		})
	}
}

// A file that an import has made can be edited like any other key file.
func TestConvertEdit(t *testing.T) {
	c, err := Convert(everything(), "keys.yaml", false)
	if err != nil {
		t.Fatal(err)
	}
	data := c.Text
	for _, step := range []struct {
		name string
		do   func([]byte) ([]byte, error)
	}{
		{"AddKey", func(d []byte) ([]byte, error) {
			return edit.AddKey("f", d, edit.NewKey{ID: "new", Digest: keystore.DigestOf("x"), Chatflows: []string{nth(3), nth(4)}})
		}},
		{"RotateKey", func(d []byte) ([]byte, error) {
			return edit.RotateKey("f", d, "Web-2", keystore.DigestOf("y"), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
		}},
		{"DisableKey", func(d []byte) ([]byte, error) { return edit.DisableKey("f", d, "Web") }},
	} {
		if data, err = step.do(data); err != nil {
			t.Fatalf("%s(an imported file) = %v, want no error", step.name, err)
		}
	}
}

func TestKeyID(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"DefaultKey", "DefaultKey"},
		{"web site (old)", "web-site-old"},
		{"a@b.example", "a@b.example"},
		{"", "key"},
		{"~", "key"},
		{"NULL", "key"},
		{"- id: x", "id-x"},
		{"ключ", "key"},
		{"\n\x00..", "key"},
		{"true", "true"},
		{strings.Repeat("x", 200), strings.Repeat("x", maxName)},
	} {
		if got := keyID(tt.name); got != tt.want || keystore.ValidateID(got) != nil {
			t.Errorf("keyID(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"Support bot", "Support bot"},
		{"  a \t\r\n b\u0085\u2028\u2029\u00a0c\x00 ", "a b c"},
		{"\x1b[31mred\u202e", "[31mred"},
		{"日本語 😀", "日本語 😀"},
		{"\xff", "\ufffd"},
		{strings.Repeat("é", maxName), strings.Repeat("é", maxName)},
		{strings.Repeat("é", maxName+1), strings.Repeat("é", maxName) + "…"},
	} {
		if got := printable(tt.text); got != tt.want {
			t.Errorf("printable(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestTaken(t *testing.T) {
	names := taken{}
	var got []string
	for _, s := range []string{"a", "a", "a-3", "a", "b", "a-2"} {
		got = append(got, names.name(s, "%s-%d"))
	}
	if diff := cmp.Diff([]string{"a", "a-2", "a-3", "a-4", "b", "a-2-2"}, got); diff != "" {
		t.Errorf("taken.name() (-want +got):\n%s", diff)
	}
}
