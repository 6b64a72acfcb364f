package edit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// TestParts edits files of a directory: one lists a key of another, one has nothing but keys.
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
	// An edit may not make a file lack more than it did.
	whole := []byte(keys + "chatflows:\n  - id: x\n    keys: [a]\n")
	if next, err := edit.WithdrawKey("f.yaml", whole, "a", []string{"x"}, true); err == nil || !strings.Contains(err.Error(), "no chatflow is listed") {
		t.Errorf("withdraw from the last chatflow = %s, %v, want an error", next, err)
	}
	for _, broken := range []string{keys + key, refers + "version: 1\n"} {
		if next, err := edit.DisableKey("f.yaml", []byte(broken), "a"); err == nil {
			t.Errorf("disable in a file with a fault of its own =\n%s, want an error", next)
		}
	}
}
