package keystore_test

import (
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestMayBeEmpty opens a key file that lists nothing yet. Once it lists a chatflow, it must go on to list one.
func TestMayBeEmpty(t *testing.T) {
	t.Parallel()
	const empty, filled = "version: 1\n", "version: 1\nchatflows:\n  - {id: x, public: true}\n"
	path := testkit.WriteFile(t, "keys.yaml", empty)
	if _, err := keystore.Open(path, keystore.Options{}); err == nil || !strings.Contains(err.Error(), "no chatflow is listed") {
		t.Errorf("Open of a file that lists nothing = %v, want that as a fault", err)
	}
	s, err := keystore.Open(path, keystore.Options{MayBeEmpty: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, content string
		want          keystore.Result
	}{
		{"keys: []", empty + "keys: []\n", keystore.Loaded},
		{"filled", filled, keystore.Loaded},
		{"empty again", empty, keystore.Failed},
		{"cut off", "", keystore.Failed},
		{"filled again", filled, keystore.Loaded},
	} {
		testkit.ReplaceFile(t, path, step.content)
		if r := s.Reload(); r.Result != step.want {
			t.Errorf("%s: reload = %s %v, want %s", step.name, r.Result, r.Err, step.want)
		}
	}
	if s.Snapshot().Entry("x") == nil {
		t.Error("the chatflow is gone")
	}
	for name, content := range map[string]string{"no version": "keys: []\n", "nothing": "", "comments": "# keys\n"} {
		if _, err := keystore.Open(testkit.WriteFile(t, "keys.yaml", content), keystore.Options{MayBeEmpty: true}); err == nil {
			t.Errorf("Open of a file with %s = no error, want one", name)
		}
	}
}
