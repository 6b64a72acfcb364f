package edit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// TestParts edits files of a directory. One lists a key of another file, and one has only keys.
func TestParts(t *testing.T) {
	digest := keystore.DigestOf("a-new-secret-0123456789")
	const key = "  - id: a\n    sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	const keys = "version: 1\nkeys:\n" + key
	const refers = keys + "chatflows:\n  - id: x\n    keys: [a, elsewhere]   # of another team\n"
	edits := map[string]func(data []byte) ([]byte, error){
		"disable": func(data []byte) ([]byte, error) { return edit.DisableKey("f.yaml", data, "a") },
		"rotate": func(data []byte) ([]byte, error) {
			return edit.RotateKey("f.yaml", data, "a", digest, time.Now().Add(time.Hour))
		},
		"grant": func(data []byte) ([]byte, error) { return edit.GrantKey("f.yaml", data, "a", []string{"y"}) },
		"add": func(data []byte) ([]byte, error) {
			return edit.AddKey("f.yaml", data, edit.NewKey{ID: "b", Digest: digest})
		},
		"delete": func(data []byte) ([]byte, error) { return edit.DeleteKey("f.yaml", data, "a", false) },
	}
	for name, change := range edits {
		for _, file := range []string{keys, refers} {
			next, err := change([]byte(file))
			if err != nil {
				t.Errorf("%s in\n%s= %v", name, file, err)
				continue
			}
			if _, err := keystore.ParsePart("f.yaml", next); err != nil {
				t.Errorf("%s in\n%smakes it invalid: %v\n%s", name, file, err, next)
			}
			if strings.Contains(file, "of another team") && !strings.Contains(string(next), "elsewhere]   # of another team") {
				t.Errorf("%s has changed the reference to another file:\n%s", name, next)
			}
		}
	}
	// The other files of the directory may have chatflows.
	whole := []byte(keys + "chatflows:\n  - id: x\n    keys: [a]\n")
	if next, err := edit.WithdrawKey("f.yaml", whole, "a", []string{"x"}, true); string(next) != keys+"chatflows: []\n" {
		t.Errorf("withdraw from the last chatflow of a file = %s, %v, want an empty list", next, err)
	}
	for _, broken := range []string{keys + key, refers + "version: 1\n"} {
		if next, err := edit.DisableKey("f.yaml", []byte(broken), "a"); err == nil {
			t.Errorf("disable in a file with a fault of its own =\n%s, want an error", next)
		}
	}
}

// TestKeyOfAnotherFile lists a key for chatflows of another file than its own, and then takes it off the list.
func TestKeyOfAnotherFile(t *testing.T) {
	const file = "version: 1\nchatflows:\n  - id: x\n    keys: [a, b]   # of two teams\n  - id: y # theirs\n    keys: [a]\n"
	list := func(chatflows ...string) func(string) ([]byte, error) {
		return func(file string) ([]byte, error) { return edit.ListKey("f.yaml", []byte(file), "b", chatflows) }
	}
	unlist := func(id string, closes bool, chatflows ...string) func(string) ([]byte, error) {
		return func(file string) ([]byte, error) {
			return edit.UnlistKey("f.yaml", []byte(file), id, chatflows, closes)
		}
	}
	for _, test := range []struct {
		name      string
		do        func(file string) ([]byte, error)
		was, is   string // what is replaced in the file
		wantError string
	}{
		{"list", list("x", "y"), "[a]", "[a, b]", ""},
		{"list once more", list("x"), "", "", ""},
		{"unlist", unlist("b", false, "x"), "[a, b]", "[a]", ""},
		{"unlist the only key", unlist("a", false, "y"), "", "", `is the only key of y`},
		{"unlist the only key, and close", unlist("a", true, "x", "y"), "[a, b]   # of two teams\n  - id: y # theirs\n    keys: [a]\n", "[b]   # of two teams\n", ""},
		{"unlist what is not listed", unlist("b", false, "x", "y"), "", "", `chatflow "y" does not list key "b"`},
		{"list a key that is none", func(file string) ([]byte, error) {
			return edit.ListKey("f.yaml", []byte(file), "b, c", []string{"y"})
		}, "", "", "key ID"},
	} {
		got, err := test.do(file)
		if test.wantError != "" {
			if err == nil || !strings.Contains(err.Error(), test.wantError) {
				t.Errorf("%s = %s, %v, want the error %q", test.name, got, err, test.wantError)
			}
			continue
		}
		if want := strings.Replace(file, test.was, test.is, 1); err != nil || string(got) != want {
			t.Errorf("%s =\n%s%v, want\n%s", test.name, got, err, want)
		}
	}
}
