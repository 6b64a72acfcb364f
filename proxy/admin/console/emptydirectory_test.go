package console_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestFromNothingInDirectory makes the first keys of a directory whose only key file lists nothing. The keys go into
// other files: a file that still lists nothing does not keep anybody from changing the others.
func TestFromNothingInDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "keys.yaml"), []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGateAt(t, dir, token)
	b := g.browser(t)
	wantIn(t, "first page", b.get(t, "", 200), "There are no keys yet", "all are closed")
	first := shownSecret.FindString(b.submit(t, "new-key", "new-key", "id=acme", "file=team.yaml", "pasted="+botA))
	second := g.do(t, "POST", "/api/keys", `{"id": "other", "file": "team.yaml", "chatflows": ["`+botB+`"]}`)["secret"].(string)
	third := g.do(t, "POST", "/api/keys", `{"id": "third", "file": "third.yaml", "chatflows": ["`+botC+`"]}`)["secret"].(string)
	if a, b, c := g.call(t, botA, first), g.call(t, botB, second), g.call(t, botC, third); a != 200 || b != 200 || c != 200 {
		t.Errorf("requests with the first keys = %d, %d and %d, want 200", a, b, c)
	}
	g.do(t, "POST", "/api/keys/acme/disable", "")
	if got := g.call(t, botA, first); got != 401 {
		t.Errorf("request with a disabled key = %d, want 401", got)
	}
	testkit.ReplaceFile(t, filepath.Join(dir, "third.yaml"), "version: 1\n") // like a file that is half written
	g.request("POST", "/-/reload", "")
	if got := g.call(t, botC, third); got != 200 {
		t.Errorf("request with a key whose file lists nothing any more = %d, want 200: the last good keys stay active", got)
	}
}
