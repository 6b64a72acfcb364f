package console_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClosePublic closes public chatflows that no key opens, by the API and on the page.
func TestClosePublic(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]func(g *gate){
		"API": func(g *gate) {
			status, p := g.api(t, "POST", "/api/chatflows/"+botC+"/private", "*", "")
			if detail := fmt.Sprint(p["detail"]); status != 422 || !strings.Contains(detail, "no key is listed for Open, ") || !strings.HasSuffix(detail, `send "close": true for that`) {
				t.Errorf("private, without close = %d %v, want 422 and what to do", status, p)
			}
			g.do(t, "POST", "/api/chatflows/"+botC+"/private", `{"close": true}`)
		},
		"page": func(g *gate) {
			b := g.browser(t)
			wantIn(t, "page", b.get(t, "chatflow?id="+botC, 200), "It lists no key, so it is closed by removing its entry", `name="close"`, ">Close it</button>")
			w := b.send("chatflow", b.fill(t, "chatflow?id="+botC, "id="+botC, "action=private"))
			wantIn(t, "page without the box", w.Body.String(), "no key is listed for Open, ", "tick the box to close it")
			wantIn(t, "page", b.submit(t, "chatflow?id="+botC, "chatflow", "id="+botC, "action=private", "close=true"), "The chatflow is closed, and not listed any more")
		},
	} {
		g := newGate(t, keyFile)
		g.do(t, "POST", "/api/chatflows", `{"id": "`+botC+`", "name": "Open", "public": true}`)
		if got := g.call(t, botC, ""); got != 200 {
			t.Fatalf("%s: request for the public chatflow = %d, want 200", name, got)
		}
		closes(g)
		if got := g.call(t, botC, ""); got != 401 || g.file(t) != keyFile {
			t.Errorf("%s: request for the closed chatflow = %d, want 401, and its entry gone:\n%s", name, got, g.file(t))
		}
	}
}

// TestLastChatflow: a key file must list a chatflow. The refusal says what to do instead, without naming a flag.
func TestLastChatflow(t *testing.T) {
	t.Parallel()
	const last = "version: 1\nkeys:\n  - {id: key-a, secret: " + secretA + "}\nchatflows:\n  - id: " + botA + "\n    keys: [key-a]\n"
	const public = "version: 1\nchatflows:\n  - id: " + botA + "\n    public: true\n"
	for _, tt := range []struct{ name, file, path, body string }{
		{"withdraw", last, "/api/keys/key-a/withdraw", `{"chatflows": ["` + botA + `"], "close": true}`},
		{"delete", last, "/api/keys/key-a/delete", `{"close": true}`},
		{"close", public, "/api/chatflows/" + botA + "/private", `{"close": true}`},
	} {
		g := newGate(t, tt.file)
		status, p := g.api(t, "POST", tt.path, "*", tt.body)
		if detail := fmt.Sprint(p["detail"]); status != 422 || !strings.Contains(detail, "leave this one to a key, which may be disabled") || g.file(t) != tt.file {
			t.Errorf("%s = %d %s, want 422, what to do, and the file as it was:\n%s", tt.name, status, detail, g.file(t))
		}
		// What it says to do works.
		g.do(t, "POST", "/api/keys", `{"id": "nobody", "chatflows": ["`+botA+`"]}`)
		g.do(t, "POST", "/api/keys/nobody/disable", "")
		g.do(t, "POST", tt.path, tt.body)
		if status := g.call(t, botA, secretA); status == 200 || g.call(t, botA, "") != 401 {
			t.Errorf("%s: request after that = %d, want it refused", tt.name, status)
		}
	}
}

// TestLastChatflowOfOneFile: in a directory, one file may be left without a chatflow.
func TestLastChatflowOfOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const b = "version: 1\nkeys:\n  - {id: key-b, secret: secret-of-b-0123456789}\n"
	for name, content := range map[string]string{"a.yaml": keyFile, "b.yaml": b + "chatflows:\n  - {id: " + botC + ", keys: [key-b]}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := newGateAt(t, dir, token)
	g.do(t, "POST", "/api/keys/key-b/withdraw", `{"chatflows": ["`+botC+`"], "close": true}`)
	if got := readFile(t, filepath.Join(dir, "b.yaml")); got != b+"chatflows: []\n" {
		t.Errorf("b.yaml = %s, want no chatflow", got)
	}
	if status, p := g.api(t, "POST", "/api/keys/key-b/delete", "*", ""); status != 422 || !strings.Contains(fmt.Sprint(p["detail"]), "remove the file, or disable its keys") {
		t.Errorf("delete of all that a file lists = %d %v, want 422 and what to do", status, p)
	}
	g.do(t, "POST", "/api/keys/key-b/disable", "")

	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("version: 1\nkeys: ["), 0o600); err != nil { // so that the last good keys are shown
		t.Fatal(err)
	}
	if status, p := g.api(t, "POST", "/api/keys/key-b/enable", "*", ""); status != 422 || !strings.HasSuffix(fmt.Sprint(p["detail"]), "b.yaml is not there any more; the last good keys stay active. Put it back, and try again") {
		t.Errorf("enable in a file that is gone = %d %v, want 422 and what to do", status, p)
	}
}
