//go:build e2e

package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// imported imports the keys of Flowise. Each way to log in must give the same key file, with which clients can go on using
// their keys.
func imported(t *testing.T, l *lab) {
	dir := t.TempDir()
	secret := func(name, text string) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, text+"\n")
		return path
	}
	hostile := l.flowise.chatflow(t, "two\nlines: \"quoted\" # and more", "CHATFLOW", echoNodes(), nil)
	gone, goneID := l.flowise.makeKey(t, "gone")
	orphan := l.flowise.chatflow(t, "orphan", "CHATFLOW", echoNodes(), map[string]any{"apikeyid": goneID})
	l.flowise.api(t, http.MethodDelete, "/apikey/"+goneID, nil, nil)
	kinds := []string{"ASSISTANT", "MULTIAGENT"}
	if !l.flowise.is2() {
		kinds = append(kinds, "AGENTFLOW")
	}
	var keyed struct {
		KeyID string `json:"apikeyid"`
	}
	l.flowise.api(t, http.MethodGet, "/chatflows/"+l.flows.fnKeyed, nil, &keyed)
	for i, kind := range kinds {
		kinds[i] = l.flowise.chatflow(t, kind, kind, echoNodes(), map[string]any{"apikeyid": keyed.KeyID})
	}
	password := secret("password", "Loopback-0nly!")
	wrong := secret("wrong", "not-the-password-0!")
	ways := map[string][]string{}
	refused := map[string][]string{"a wrong API key": {"--api-key-file", wrong}, "no credential": {}}
	if l.flowise.is2() {
		ways["user"] = []string{"--user", "e2e", "--password-file", password}
		ways["API key"] = []string{"--api-key-file", secret("key", l.flows.key)}
		refused["a wrong password"] = []string{"--user", "e2e", "--password-file", wrong}
		refused["an account"] = []string{"--email", "e2e@example.com", "--password-file", password}
	} else {
		ways["account"] = []string{"--email", "e2e@example.com", "--password-file", password}
		reader, _ := l.flowise.makeKey(t, "reader", "chatflows:view", "apikeys:view")
		l.secrets = append(l.secrets, reader)
		ways["API key"] = []string{"--api-key-file", secret("key", reader)}
		refused["an API key without apikeys:view"] = []string{"--api-key-file", secret("view", l.flows.key)}
		refused["a wrong password"] = []string{"--email", "e2e@example.com", "--password-file", wrong}
		refused["an unknown account"] = []string{"--email", "nobody@example.com", "--password-file", password}
		refused["a user"] = []string{"--user", "e2e", "--password-file", password}
	}
	before := l.flowise.state(t)

	var first string
	for way, flags := range ways {
		out, errs, code := l.importFrom(t, l.flowise.url, append(flags, "--dry-run")...)
		if code != 0 {
			t.Fatalf("flowlatch import with the %s = %d, want 0:\n%s", way, code, errs)
		}
		t.Logf("with the %s:\n%s\n%s", way, errs, out)
		for _, id := range kinds {
			if !strings.Contains(out, "  - id: "+id+"\n") {
				t.Errorf("flowlatch import with the %s does not list %s", way, id)
			}
		}
		if !strings.Contains(out, "#   "+orphan) || !strings.Contains(errs, "their keys in Flowise are deleted") {
			t.Errorf("flowlatch import with the %s does not say that the key of %s is gone", way, orphan)
		}
		if first == "" {
			first = out
		} else if out != first {
			t.Errorf("flowlatch import with the %s printed\n%s\nwant as otherwise\n%s", way, out, first)
		}
		if strings.Contains(out+errs, l.flows.key) || strings.Contains(out+errs, gone) {
			t.Errorf("flowlatch import with the %s printed a secret", way)
		}
	}
	for way, flags := range refused {
		out, errs, code := l.importFrom(t, l.flowise.url, append(flags, "--dry-run")...)
		if code != 1 || out != "" {
			t.Errorf("flowlatch import with %s = %d and %q, want 1 and nothing", way, code, out)
		}
		t.Logf("with %s:\n%s", way, errs)
	}

	keys := filepath.Join(dir, "keys.yaml")
	for way, flags := range ways {
		os.Remove(keys)
		if _, errs, code := l.importFrom(t, l.flowise.url, append(flags, "--keys", keys)...); code != 0 {
			t.Fatalf("flowlatch import with the %s = %d, want 0:\n%s", way, code, errs)
		}
		l.worksAsImported(t, keys, hostile)
	}
	public := filepath.Join(dir, "public.yaml")
	for _, flags := range ways {
		os.Remove(public)
		if _, errs, code := l.importFrom(t, l.flowise.url, append(flags, "--keys", public, "--public-stays-public")...); code != 0 {
			t.Fatalf("flowlatch import = %d, want 0:\n%s", code, errs)
		}
	}
	g := l.serve(t, public)
	for _, open := range []string{l.flows.fnOpen, hostile} {
		q := unique()
		r := ask(open, q, "")
		wantText(t, r, send(t, g.URL, r), echo(q))
	}
	r := ask(l.flows.fnKeyed, unique(), "")
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")

	// Neither a gate nor a page of Flowise's UI is the API of a Flowise.
	for _, url := range []string{g.URL, l.flowise.url + "/canvas"} {
		if _, errs, code := l.importFrom(t, url, "--dry-run"); code != 1 || !strings.Contains(errs, "not a Flowise") {
			t.Errorf("flowlatch import %s = %d, %q, want 1 and that it is not a Flowise", url, code, errs)
		}
	}
	if after := l.flowise.state(t); after != before {
		t.Errorf("Flowise has\n%s\nafter the imports, want it unchanged:\n%s", after, before)
	}
}

// worksAsImported starts a gate with the imported file in front of Flowise.
func (l *lab) worksAsImported(t *testing.T, keys, closed string) {
	t.Helper()
	g := l.serve(t, keys)
	q := unique()
	r := ask(l.flows.fnKeyed, q, l.flows.key)
	wantText(t, r, send(t, g.URL, r), echo(q))
	q = unique()
	text, _ := openStream(t, g.URL, streamed(ask(l.flows.llmKeyed, q, l.flows.key), uuid())).rest(t)
	if text != reply(q) {
		t.Errorf("streamed %q, want %q", text, reply(q))
	}
	r = ask(l.flows.fnKeyed, unique(), "")
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")
	for _, id := range []string{l.flows.fnOpen, closed} {
		r = ask(id, unique(), l.flows.key)
		wantProblem(t, r, send(t, g.URL, r), http.StatusForbidden, "key_not_for_chatflow")
	}
	g.WantExit(t, syscall.SIGTERM)
}

// importFrom runs flowlatch import.
func (l *lab) importFrom(t *testing.T, url string, flags ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), l.binary, append([]string{"import", url}, flags...)...)
	cmd.Env = childEnv(t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// makeKey makes an API key in Flowise. Flowise 3.x needs at least one permission.
func (f *flowise) makeKey(t *testing.T, name string, permissions ...string) (secret, id string) {
	t.Helper()
	if len(permissions) == 0 {
		permissions = []string{"chatflows:view"}
	}
	f.api(t, http.MethodPost, "/apikey", map[string]any{"keyName": name, "permissions": permissions}, nil)
	var keys []struct {
		ID     string `json:"id"`
		Name   string `json:"keyName"`
		APIKey string `json:"apiKey"`
	}
	f.api(t, http.MethodGet, "/apikey", nil, &keys)
	for _, k := range keys {
		if k.Name == name {
			return k.APIKey, k.ID
		}
	}
	t.Fatalf("Flowise does not list the key %s that was made", name)
	return "", ""
}

// state returns the chatflows and keys of Flowise, as its REST API lists them.
func (f *flowise) state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/chatflows", "/apikey"} {
		r := request{method: http.MethodGet, path: "/api/v1" + path, header: f.header}
		res, err := open(t, f.admin, f.url, r)
		if err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		all.WriteString(string(whole(t, r, res).body) + "\n")
	}
	return all.String()
}
