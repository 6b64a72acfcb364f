package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin"
)

// team returns a key file with one key, which opens one chatflow.
func team(id, secret, chatflow string) string {
	return "version: 1\nkeys:\n  - id: " + id + "\n    sha256: " + keystore.DigestOf(secret).String() + "\nchatflows:\n  - {id: " + chatflow + ", keys: [" + id + "]}\n"
}

// TestKeyDirectory runs a gate with the key files of two teams. One breaks its file, and the other revokes a key.
func TestKeyDirectory(t *testing.T) {
	t.Parallel()
	g := &gate{web: keystore.Generate(), batch: keystore.Generate()}
	web := testkit.WriteFile(t, "web.yaml", team("web", g.web, webChatflow))
	dir := filepath.Dir(web)
	batch := filepath.Join(dir, "batch.yaml")
	testkit.ReplaceFile(t, batch, team("batch", g.batch, batchChatflow))
	g.Gate = testkit.Serve(t, testkit.Options{Upstream: testkit.Upstream(t, newEcho()).URL, Args: []string{"--keys", dir, "--keys-require", "web.yaml"}})
	if got := g.predict(t, webChatflow, g.web).status; got != http.StatusOK {
		t.Fatalf("predict = %d, want 200", got)
	}

	_, found, _ := flowlatch(t, "doctor", "--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"), "--keys", dir)
	if !strings.Contains(found, "the gate has applied "+dir) || !strings.Contains(found, "keys: 2, chatflows: 2") {
		t.Errorf("doctor = %s, want that the gate has applied the directory", found)
	}

	testkit.ReplaceFile(t, batch, "version: 1\nkeys: [}\n")
	line := g.AwaitLog(t, invalidKeyFile)
	if text, _ := line["error"].(string); !slices.Equal(textsOf(line["files"]), []string{"batch.yaml"}) || !strings.Contains(text, batch+":2: not YAML") {
		t.Errorf("log line = %v, want batch.yaml and its fault", line)
	}
	testkit.ReplaceFile(t, web, strings.Replace(team("web", g.web, webChatflow), "    sha256", "    disabled: true\n    sha256", 1))
	g.awaitPredict(t, g.web, "invalid_key")
	if got := g.predict(t, batchChatflow, g.batch).status; got != http.StatusOK {
		t.Errorf("predict with the last good key of the broken file = %d, want 200", got)
	}
	testkit.Eventually(t, "log line that web.yaml is applied", func() bool { // log lines are written in batches
		applied := g.Logged(t, "key file applied")
		return slices.Equal(textsOf(applied[len(applied)-1]["files"]), []string{"web.yaml"})
	})
	metrics := send(t, http.MethodGet, g.Admin+"/metrics", "", "").body
	for _, want := range []string{`flowlatch_keys_stale{file="batch.yaml"} 1`, `flowlatch_keys_stale{file="web.yaml"} 0`, `flowlatch_keys_stale{file="."} 0`, "flowlatch_keys_generation 2"} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics have no %s", want)
		}
	}
	var st admin.Status
	if err := json.Unmarshal([]byte(send(t, http.MethodGet, g.Admin+"/status", "", "").body), &st); err != nil {
		t.Fatal(err)
	}
	if !st.Stale || len(st.KeyFiles) != 3 || !st.KeyFiles[0].Stale || !strings.Contains(st.KeyFiles[0].Fault, "not YAML") || st.KeyFiles[1] != (admin.FileStatus{File: "web.yaml", Keys: 1, Chatflows: 1}) {
		t.Errorf("stale = %t, key_files = %+v, want the fault of batch.yaml, and web.yaml without one", st.Stale, st.KeyFiles)
	}

	if err := os.Remove(web); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "fault of the required file", func() bool {
		return strings.Contains(send(t, http.MethodGet, g.Admin+"/metrics", "", "").body, `flowlatch_keys_stale{file="web.yaml"} 1`)
	})
	if res := g.reload(t); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, `web.yaml\": it does not exist`) || !strings.Contains(res.body, "not YAML") {
		t.Errorf("reload = %d %s, want 422 and both faults", res.status, res.body)
	}
	if got := send(t, http.MethodGet, g.Admin+"/readyz", "", "").status; got != http.StatusOK {
		t.Errorf("readyz = %d, want 200: the last good keys are active", got)
	}
	if err := os.Remove(batch); err != nil { // no key file is left, which revokes nothing
		t.Fatal(err)
	}
	if res := g.reload(t); res.status != http.StatusUnprocessableEntity || g.predict(t, batchChatflow, g.batch).status != http.StatusOK {
		t.Errorf("reload of an empty directory = %d %s, want 422, and the keys as they were", res.status, res.body)
	}
	g.WantExit(t, syscall.SIGTERM)
}

// textsOf returns the texts of a list in a log line.
func textsOf(list any) (texts []string) {
	items, _ := list.([]any)
	for _, item := range items {
		text, _ := item.(string)
		texts = append(texts, text)
	}
	return texts
}

// TestWaitForKeyDirectory: a gate that may wait for its keys waits for a required file.
func TestWaitForKeyDirectory(t *testing.T) {
	t.Parallel()
	secret := keystore.Generate()
	path := testkit.WriteFile(t, "a.yaml", team("a", secret, webChatflow))
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", filepath.Dir(path), "--keys-require", "b.yaml", "--wait-for-keys", testkit.Timeout.String())
	if got, _ := p.AwaitLog(t, "waiting for the key file")["error"].(string); !strings.Contains(got, `b.yaml": it does not exist`) {
		t.Errorf("log line of the wait = %q, want what is missing", got)
	}
	testkit.ReplaceFile(t, filepath.Join(filepath.Dir(path), "b.yaml"), team("b", keystore.Generate(), batchChatflow))
	testkit.Serving(t, p).WantExit(t, syscall.SIGTERM)
}

// TestFaultThatOnlyTheGateSees: a file that makes no sense for this kind of upstream does not keep other files from
// being applied.
func TestFaultThatOnlyTheGateSees(t *testing.T) {
	t.Parallel()
	secret := keystore.Generate()
	a := testkit.WriteFile(t, "a.yaml", team("a", secret, webChatflow))
	dir := filepath.Dir(a)
	b := filepath.Join(dir, "b.yaml")
	testkit.ReplaceFile(t, b, team("b", keystore.Generate(), batchChatflow))
	g := &gate{Gate: testkit.Serve(t, testkit.Options{Upstream: testkit.Upstream(t, newEcho()).URL, Args: []string{"--keys", dir, "--preset", "n8n"}})}
	if err := os.Mkdir(filepath.Join(dir, "flowise"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "flowise", "api.json"), []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.ReplaceFile(t, b, team("b2", keystore.Generate(), batchChatflow)+"flowise_api_keys: flowise\n")
	testkit.ReplaceFile(t, a, team("a2", keystore.Generate(), webChatflow))
	if res := g.reload(t); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, b+": flowise_api_keys names Flowise's file of keys") {
		t.Errorf("reload = %d %s, want 422 and the fault of %s", res.status, res.body, b)
	}
	var st admin.Status
	if err := json.Unmarshal([]byte(send(t, http.MethodGet, g.Admin+"/status", "", "").body), &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Keys) != 2 || st.Keys[0].ID != "a2" || st.Keys[1].ID != "b" || st.KeyFiles[0].Stale || !st.KeyFiles[1].Stale {
		t.Errorf("keys = %+v, files %+v, want the new key of a.yaml and the old one of b.yaml", st.Keys, st.KeyFiles)
	}
}
