package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

const (
	importedKeyed = "3f1c2a9e-1111-4222-8333-444455556666"
	importedOpen  = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
	importedKey   = "RlRkXSExxCmVwWKPoiwYU0pyKtdYTYFcRU7pdzf5yBQ"
)

// flowiseToImport imitates a Flowise 2.2.8 that has one chatflow with a key and one without. It calls listed before it
// lists its keys.
func flowiseToImport(t *testing.T, listed func()) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		internal := r.Header.Get("X-Request-From") == "internal" && user == "admin" && password == "correct horse"
		keyed := r.Header.Get("X-Request-From") == "" && r.Header.Get("Authorization") == "Bearer "+importedKey
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/api/v1/version":
			fmt.Fprint(w, `{"version":"2.2.8"}`)
		case !internal && !keyed:
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/api/v1/chatflows":
			fmt.Fprintf(w, `[{"id":%q,"name":"support","apikeyid":"k"},{"id":%q,"name":"sales","apikeyid":""}]`, importedKeyed, importedOpen)
		case r.URL.Path == "/api/v1/apikey":
			listed()
			fmt.Fprintf(w, `[{"id":"k","keyName":"Web site","apiKey":%q}]`, importedKey)
		default:
			t.Errorf("import sent %s %s", r.Method, r.URL)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestImport(t *testing.T) {
	url := flowiseToImport(t, func() {})
	password := testkit.WriteFile(t, "password", "correct horse\r\n")
	apiKey := testkit.WriteFile(t, "key", importedKey)
	for _, tt := range []struct {
		name   string
		env    map[string]string
		args   []string
		public bool
	}{
		{"user", nil, []string{"--user", "admin", "--password-file", password}, false},
		{"user, password from the environment", map[string]string{config.ImportPassword: "correct horse"}, []string{"--user", "admin"}, false},
		{"API key", nil, []string{"--api-key-file", apiKey}, false},
		{"API key from the environment", map[string]string{config.ImportAPIKey: importedKey}, nil, false},
		{"a flag wins over the environment", map[string]string{config.ImportAPIKey: "no-such-key", config.ImportPassword: "no"}, []string{"--user", "admin", "--password-file", password}, false},
		{"public stays public", nil, []string{"--api-key-file", apiKey, "--public-stays-public"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			keys := filepath.Join(t.TempDir(), "keys.yaml")
			args := append([]string{"import", url, "--keys", keys}, tt.args...)
			code, preview, stderr := flowlatch(t, append(args, "--dry-run")...)
			if _, err := os.Stat(keys); code != exitOK || err == nil {
				t.Fatalf("run(%q, --dry-run) = %d, and the file is there: %t, want 0 and none\n%s", args, code, err == nil, stderr)
			}
			code, stdout, stderr := flowlatch(t, args...)
			if code != exitOK || stdout != "" {
				t.Fatalf("run(%q) = %d, %q on stdout, want 0 and nothing\n%s", args, code, stdout, stderr)
			}
			if strings.Contains(preview+stderr, importedKey) || strings.Contains(preview+stderr, "correct horse") {
				t.Errorf("run(%q) printed a secret", args)
			}
			if !strings.Contains(stderr, importedOpen) || !strings.Contains(stderr, importedKeyed) {
				t.Errorf("run(%q) = %q on stderr, want both chatflows in it", args, stderr)
			}
			data, err := os.ReadFile(keys)
			if err != nil || string(data) != preview {
				t.Errorf("the key file is %q, %v, want as --dry-run printed it: %q", data, err, preview)
			}
			if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key file has mode %v, %v, want 0600", info.Mode(), err)
			}
			s, err := keystore.Parse(keys, data)
			if err != nil {
				t.Fatal(err)
			}
			if k := s.Key("Web-site"); k == nil || !s.Opens(k, importedKeyed) || s.AnyPublic() != tt.public {
				t.Errorf("the key file opens %s to Web-site: %t, anything to all: %t, want true and %t", importedKeyed, s.Opens(k, importedKeyed), s.AnyPublic(), tt.public)
			}

			code, _, stderr = flowlatch(t, args...)
			if code != exitFailed || !strings.Contains(stderr, "exists already") {
				t.Errorf("run(%q) again = %d, %q, want 1 and that the file exists", args, code, stderr)
			}
			if code, _, stderr = flowlatch(t, "check", "--keys", keys); code != exitOK || stderr != "" {
				t.Errorf("run(check) = %d, %q, want 0 and no warning", code, stderr)
			}
		})
	}
}

// TestImportRace checks that a key file which appears while Flowise is read is not overwritten.
func TestImportRace(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	url := flowiseToImport(t, func() { _ = os.WriteFile(keys, []byte("mine"), 0o600) })
	t.Setenv(config.ImportAPIKey, importedKey)
	code, _, stderr := flowlatch(t, "import", url, "--keys", keys)
	if data, err := os.ReadFile(keys); code != exitFailed || string(data) != "mine" || err != nil || !strings.Contains(stderr, "exists already") {
		t.Errorf("run(import) = %d, %q, and the file is %q, want 1 and the file kept", code, stderr, data)
	}
}

// TestImportUpdate checks that an update, once somebody has agreed, adds what is new to a key file and nothing else.
func TestImportUpdate(t *testing.T) {
	url := flowiseToImport(t, func() {})
	t.Setenv(config.ImportAPIKey, importedKey)
	const before = "# mine\nversion: 1\nkeys:\n  - id: ops # of mine\n    secret: a-secret-of-mine-0123456789\nchatflows:\n  - id: " + importedOpen + "\n    keys: [ops]\n"
	const name = "  - id: " + importedOpen + "\n    name: \"sales\"\n"
	digest := keystore.DigestOf(importedKey).String()
	after := strings.Replace(before, "  - id: "+importedOpen+"\n", name, 1)
	after = strings.Replace(after, "chatflows:", "  - id: Web-site\n    sha256: "+digest+"\nchatflows:", 1)
	after += "  - id: " + importedKeyed + "\n    name: \"support\"\n    keys: [Web-site]\n    upstream_authorization: forward\n"
	for _, tt := range []struct {
		name, input string
		args        []string
		code        int
		wantFile    string
		wantErr     string
	}{
		{"yes", "y\n", nil, exitOK, after, "1 key, 1 chatflow, 1 name"},
		{"no", "n\n", nil, exitFailed, before, "is unchanged: the answer was not yes"},
		{"nobody answers", "", nil, exitFailed, before, "is unchanged: nobody has answered on standard input; --yes"},
		{"not asked", "", []string{"--yes"}, exitOK, after, "+ Web-site, in Flowise \"Web site\""},
		{"looked at", "", []string{"--dry-run"}, exitOK, before, "New chatflows: 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := testkit.WriteFile(t, "keys.yaml", before)
			answer(t, tt.input)
			args := append([]string{"import", url, "--keys", keys, "--update"}, tt.args...)
			code, stdout, stderr := flowlatch(t, args...)
			got, err := os.ReadFile(keys)
			if code != tt.code || string(got) != tt.wantFile || err != nil || !strings.Contains(stderr, tt.wantErr) {
				t.Fatalf("import --update = %d, %q, and left\n%s\nwant %d, %q and\n%s", code, stderr, got, tt.code, tt.wantErr, tt.wantFile)
			}
			if tt.name == "looked at" && stdout != after {
				t.Errorf("import --update --dry-run = %s, want %s", stdout, after)
			}
			if strings.Contains(stdout+stderr, importedKey) {
				t.Error("a secret was printed")
			}
			if tt.wantFile == before {
				return
			}
			if code, _, stderr = flowlatch(t, args...); code != exitOK || !strings.Contains(stderr, "lacks nothing that Flowise has, and is unchanged") {
				t.Errorf("import --update again = %d, %q, want that there is nothing to do", code, stderr)
			}
		})
	}
}

// answer replaces standard input with a text.
func answer(t *testing.T, text string) {
	t.Helper()
	file, err := os.Open(testkit.WriteFile(t, "answer", text))
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdin
	os.Stdin = file
	t.Cleanup(func() { os.Stdin = was; file.Close() })
}

// TestImportUpdateRace checks that a key file which changes while Flowise is read is not overwritten.
func TestImportUpdateRace(t *testing.T) {
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nchatflows:\n  - {id: x, public: true}\n")
	const mine = "version: 1\nchatflows:\n  - {id: y, public: true}\n"
	url := flowiseToImport(t, func() { _ = os.WriteFile(keys, []byte(mine), 0o600) })
	t.Setenv(config.ImportAPIKey, importedKey)
	code, _, stderr := flowlatch(t, "import", url, "--keys", keys, "--update", "--yes")
	if data, err := os.ReadFile(keys); code != exitFailed || string(data) != mine || err != nil || !strings.Contains(stderr, "has changed since it was read, so nothing was done") {
		t.Errorf("import --update = %d, %q, and the file is %q, want 1 and the file kept", code, stderr, data)
	}
}
