package console_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestDirectory changes keys in a directory of key files: each change edits the file that has the key.
func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const secretB = "secret-of-b-0123456789"
	a := "version: 1\nkeys:\n  - {id: key-a, secret: " + secretA + "}\nchatflows:\n  - {id: " + botA + ", name: support, keys: [key-a]}\n"
	b := "version: 1 # of team B\nkeys:\n  - {id: key-b, secret: " + secretB + "}\nchatflows:\n  - {id: " + botB + ", keys: [key-b]}\n"
	write("a.yaml", a)
	write("b.yaml", b)
	g := newGateAt(t, dir, token)

	if _, key := g.api(t, "GET", "/api/keys/key-b", "", ""); key["file"] != "b.yaml" {
		t.Errorf("key-b = %v, want that it is in b.yaml", key)
	}
	for name, want := range map[string]string{"": "say which key file", "../x.yaml": "want the name of a file", "team/x.yaml": "want the name of a file", ".x.yaml": "want the name of a file", "x.txt": "want the name of a file"} {
		if status, p := g.api(t, "POST", "/api/keys", "*", `{"id": "new", "file": "`+name+`"}`); status != 400 || !strings.Contains(fmt.Sprint(p["detail"]), want) {
			t.Errorf("new key in %q = %d %v, want 400", name, status, p)
		}
	}
	secret := g.do(t, "POST", "/api/keys", `{"id": "new", "chatflows": ["`+botC+`"], "file": "c.yaml"}`)["secret"].(string)
	if got := g.call(t, botC, secret); got != 200 || read("a.yaml") != a || read("b.yaml") != b {
		t.Errorf("request with a key of a new file = %d, want 200, and the other files as they were", got)
	}
	if status, p := g.api(t, "POST", "/api/keys", "*", `{"id": "key-a", "file": "c.yaml"}`); status != 422 {
		t.Errorf("a key of another file once more = %d %v, want 422", status, p)
	}
	seen := g.version(t)
	g.do(t, "POST", "/api/chatflows/"+botB+"/public", "")
	if got := g.call(t, botB, ""); got != 200 || !strings.HasPrefix(read("b.yaml"), "version: 1 # of team B\n") {
		t.Errorf("request for a chatflow that was made public = %d, want 200, and b.yaml edited: %s", got, read("b.yaml"))
	}
	if status, p := g.api(t, "POST", "/api/keys/key-a/disable", seen, ""); status != 412 || p["version"] != strings.Trim(g.version(t), `"`) {
		t.Errorf("change for a version that another file has left = %d %v, want 412", status, p)
	}

	seen = g.version(t)
	var wait sync.WaitGroup
	versions := make([]any, 30)
	for i := range versions { // all based on one version, so only one of them is made
		wait.Go(func() {
			_, p := g.api(t, "POST", "/api/keys/key-b/rotate", seen, "")
			versions[i] = p["version"]
		})
	}
	wait.Wait()
	for _, version := range versions {
		if now := strings.Trim(g.version(t), `"`); version != now {
			t.Errorf("version after one of many changes at once = %v, want that of the directory, %s", version, now)
		}
	}

	testkit.ReplaceFile(t, filepath.Join(dir, "b.yaml"), "version: 1\nkeys: [")
	g.request("POST", "/-/reload", "")
	if status, p := g.api(t, "POST", "/api/keys/key-a/disable", g.version(t), ""); status != 200 {
		t.Errorf("disabling a key while the file of another team is broken = %d %v, want 200", status, p)
	}
	if old, other := g.call(t, botA, secretA), g.call(t, botB, secretB); old != 401 || other != 200 {
		t.Errorf("requests = %d with the disabled key and %d with that of the broken file, want 401 and 200", old, other)
	}
	page := g.browser(t)
	wantIn(t, "form of a new key", page.get(t, "new-key", 200), `name="file"`, `<option value="a.yaml">`)
	wantIn(t, "page of the key", page.get(t, "key?id=key-a", 200), "Key file", "a.yaml", "disabled")
}

// TestFlowiseKeys shows the keys of Flowise's own file, which only Flowise changes.
func TestFlowiseKeys(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{"a file": "keys.yaml", "a directory": ""} {
		dir, flowise := t.TempDir(), t.TempDir()
		own := `[{"keyName":"Web","id":"1","apiKey":"a-secret-of-flowise-000000000"}]`
		content := strings.Replace(keyFile, "keys:\n", "flowise_api_keys: "+flowise+"\nkeys:\n", 1) + "  - {id: " + botC + ", keys: [key-a, Web]}\n"
		for path, content := range map[string]string{filepath.Join(flowise, "api.json"): own, filepath.Join(dir, "keys.yaml"): content} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		g := newGateAt(t, filepath.Join(dir, in), token)
		if _, key := g.api(t, "GET", "/api/keys/Web", "", ""); fmt.Sprint(key["chatflows"]) != "["+botC+"]" {
			t.Errorf("%s: Flowise's key = %v, want that it opens a chatflow", name, key)
		}
		for action, body := range map[string]string{"disable": "", "enable": "", "rotate": "", "delete": "", "grant": `{"chatflows": ["support"]}`, "withdraw": `{"chatflows": ["` + botC + `"]}`} {
			if status, p := g.api(t, "POST", "/api/keys/Web/"+action, g.version(t), body); status != 422 || !strings.Contains(fmt.Sprint(p["detail"]), "one of Flowise's own") {
				t.Errorf("%s: %s for Flowise's key = %d %v, want 422", name, action, status, p)
			}
		}
		if data, err := os.ReadFile(filepath.Join(flowise, "api.json")); string(data) != own {
			t.Errorf("%s: Flowise's file = %s, %v, want it as it was", name, data, err)
		}
		page := g.browser(t)
		wantIn(t, "page of Flowise's key", page.get(t, "key?id=Web", 200), "one of Flowise’s own")
		if html := page.get(t, "key?id=key-a", 200); strings.Count(html, "no other key opens it") != 1 {
			t.Errorf("%s: page of key-a says of a chatflow that Flowise's key opens that no other key does:\n%s", name, html)
		}
		g.do(t, "POST", "/api/keys/key-a/disable", "")
	}
}

// TestOtherFile: a chatflow may be in another file than the key. Its list of keys is edited there.
func TestOtherFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, name, content string) {
		t.Helper()
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != content {
			t.Errorf("%s after %s =\n%s%v, want\n%s", name, what, data, err, content)
		}
	}
	const keyA = "version: 1\nkeys:\n  - {id: key-a, secret: " + secretA + "}\n"
	const keyB = "version: 1\nkeys:\n  - {id: key-b, secret: secret-of-b-0123456789}\n"
	const botD = "dddddddd-4444-4555-8666-777788889999"
	const bots = "chatflows:\n  - {id: " + botA + ", name: support, keys: [key-b]} # team B's\n  - {id: " + botB + ", keys: [key-b]}\n"
	write("a.yaml", keyA)
	write("b.yaml", keyB+bots)
	g := newGateAt(t, dir, token)

	g.do(t, "POST", "/api/keys/key-a/grant", `{"chatflows": ["support", "`+botC+`"]}`)
	both := strings.Replace(bots, "keys: [key-b]} #", "keys: [key-b, key-a]} #", 1)
	want("grant", "b.yaml", keyB+both)
	want("grant", "a.yaml", keyA+"chatflows:\n  - id: "+botC+"\n    keys: [key-a]\n")
	if a, c := g.call(t, botA, secretA), g.call(t, botC, secretA); a != 200 || c != 200 {
		t.Errorf("requests after grant = %d and %d, want 200", a, c)
	}
	g.do(t, "POST", "/api/keys/key-a/withdraw", `{"chatflows": ["support"]}`)
	want("withdraw", "b.yaml", keyB+bots)
	if got := g.call(t, botA, secretA); got != 403 {
		t.Errorf("request after withdraw = %d, want 403", got)
	}

	secret := g.do(t, "POST", "/api/keys", `{"id": "new", "chatflows": ["`+botA+`", "`+botB+`"], "file": "c.yaml"}`)["secret"].(string)
	want("new key", "b.yaml", keyB+strings.ReplaceAll(bots, "[key-b]", "[key-b, new]"))
	if a, b := g.call(t, botA, secret), g.call(t, botB, secret); a != 200 || b != 200 {
		t.Errorf("requests with the new key = %d and %d, want 200", a, b)
	}
	g.do(t, "POST", "/api/chatflows", `{"id": "`+botD+`", "keys": ["new", "key-a"], "file": "a.yaml"}`)
	if got := g.call(t, botD, secret); got != 200 {
		t.Errorf("request for a chatflow that was listed in another file = %d, want 200", got)
	}
	if status, p := g.api(t, "POST", "/api/chatflows", "*", `{"id": "dddddddd-4444-4555-8666-77778888aaaa", "keys": ["nobody"], "file": "a.yaml"}`); status != 422 {
		t.Errorf("a chatflow with a key that is nowhere = %d %v, want 422", status, p)
	}
	page := g.browser(t)
	form := page.get(t, "key?id=new", 200)
	wantIn(t, "page of the key", form, "c.yaml", "support")
	write("c.yaml", readFile(t, filepath.Join(dir, "c.yaml"))+"  - {id: other, secret: secret-of-other-0123456789}\n")
	g.do(t, "POST", "/api/keys/new/delete", "")
	want("delete", "b.yaml", keyB+bots)
	if a, b, d := g.call(t, botA, secret), g.call(t, botB, secret), g.call(t, botD, secret); a != 401 || b != 401 || d != 401 {
		t.Errorf("requests with the deleted key = %d, %d and %d, want 401", a, b, d)
	}

	// The second of two files cannot be written: its name is so long that the name of a temporary file beside it would
	// be too long.
	elsewhere := filepath.Join(t.TempDir(), strings.Repeat("b", 250))
	if err := os.Rename(filepath.Join(dir, "b.yaml"), elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	status, p := g.api(t, "POST", "/api/keys", "*", `{"id": "half", "chatflows": ["`+botA+`"], "file": "c.yaml"}`)
	half, _ := p["secret"].(string)
	if status != 500 || p["code"] != "partly_done" || !strings.HasPrefix(fmt.Sprint(p["detail"]), "c.yaml has its part of the change, and b.yaml has not: ") || half == "" {
		t.Errorf("new key of which the second file cannot be written = %d %v, want partly_done, where, and the secret", status, p)
	}
	want("the failure", "b.yaml", keyB+bots)
	if got := g.call(t, botA, half); got != 403 {
		t.Errorf("request with a key that is made and not listed = %d, want 403", got)
	}
	if status, p := g.api(t, "POST", "/api/keys", "*", `{"id": "whole", "chatflows": ["`+botA+`, x"], "file": "c.yaml"}`); status != 422 || strings.Contains(readFile(t, filepath.Join(dir, "c.yaml")), "whole") {
		t.Errorf("new key for what is no chatflow = %d %v, want 422, and nothing done", status, p)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestFlowiseLosesKeys changes a key while Flowise has lost its own keys. The change is applied, but does not mean that
// the loss was intended.
func TestFlowiseLosesKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const web = "a-secret-of-flowise-000000000"
	write("api.json", `[{"keyName":"Web","id":"1","apiKey":"`+web+`"}]`)
	g := newGateAt(t, write("keys.yaml", strings.Replace(keyFile, "keys:\n", "flowise_api_keys: api.json\nkeys:\n", 1)+"  - {id: "+botC+", keys: [Web]}\n"), token)
	testkit.ReplaceFile(t, filepath.Join(dir, "api.json"), `[{"keyName":"DefaultKey","id":"2","apiKey":"a-fresh-secret-000000000"}]`)
	g.do(t, "POST", "/api/keys/key-a/disable", "")
	if own, flowise := g.call(t, botA, secretA), g.call(t, botC, web); own != 401 || flowise != 200 {
		t.Errorf("requests = %d with the disabled key and %d with a key that Flowise has lost, want 401 and 200", own, flowise)
	}
}
