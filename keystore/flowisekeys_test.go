package keystore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// apiJSON is a file of keys as Flowise writes it, of "name id secret" each.
func apiJSON(keys ...string) string {
	var list []string
	for _, k := range keys {
		f := strings.Split(k, " ")
		list = append(list, fmt.Sprintf(`{"keyName":%q,"apiKey":%q,"apiSecret":"00.11","createdAt":"15-Jul-24","id":%q}`, f[0], f[2], f[1]))
	}
	return "[" + strings.Join(list, ",") + "]"
}

const (
	flowiseA = "0123456789abcdef0123456789abcdef"
	flowiseB = "fedcba9876543210fedcba9876543210"
	secretA  = "flowise-secret-a-000000000000000000000000"
	secretB  = "flowise-secret-b-000000000000000000000000"
)

const usesFlowise = `version: 1
flowise_api_keys: flowise
keys:
  - {id: own, secret: our-own-secret-0123456789}
chatflows:
  - {id: x, keys: [own, Web, ` + flowiseB + `]}
`

// withFlowise writes a key file that uses Flowise's keys, in a folder beside it.
func withFlowise(t *testing.T, data, api string) (path, apiPath string) {
	t.Helper()
	dir := t.TempDir()
	path, apiPath = filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "flowise", "api.json")
	if err := os.Mkdir(filepath.Dir(apiPath), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, data)
	writeFile(t, apiPath, api)
	return path, apiPath
}

// opens reports whether a secret opens chatflow x now.
func opens(s *keystore.Store, secret string) bool {
	m := s.Snapshot().Match(keystore.DigestOf(secret), time.Now())
	return m.Validity == keystore.Valid && s.Snapshot().Opens(m.Key, "x")
}

func TestFlowiseKeys(t *testing.T) {
	path, _ := withFlowise(t, usesFlowise, apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB))
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !opens(s, secretA) || !opens(s, secretB) || !opens(s, "our-own-secret-0123456789") {
		t.Fatal("a key by name, one by id and our own do not all open the chatflow")
	}
}

// TestFlowiseKeysHalfWritten cuts the file off at every byte. No key may be lost because of that.
func TestFlowiseKeysHalfWritten(t *testing.T) {
	whole := apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB)
	path, api := withFlowise(t, usesFlowise, whole)
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		writeFile(t, api, whole[:n])
		if r := s.Reload(); r.Result != keystore.Failed || !strings.Contains(r.Err.Error(), "keys.yaml:2: flowise_api_keys: ") || strings.Contains(r.Err.Error(), secretA) {
			t.Fatalf("Reload with the first %d bytes = %s %v, want a failure with its place", n, r.Result, r.Err)
		}
		if !opens(s, secretA) || !opens(s, secretB) {
			t.Fatalf("with the first %d bytes a key is lost", n)
		}
	}
	os.Remove(api)
	if r := s.Reload(); r.Result != keystore.Failed || !opens(s, secretA) {
		t.Errorf("Reload without the file = %s, key open %t, want a failure and the key", r.Result, opens(s, secretA))
	}
	writeFile(t, api, whole)
	if r := s.Reload(); r.Result != keystore.Loaded || s.Status().Stale {
		t.Errorf("Reload with the whole file = %s, stale %t, want success", r.Result, s.Status().Stale)
	}
}

// TestFlowiseKeysOdd has keys in Flowise's file that cannot be used as they are.
func TestFlowiseKeysOdd(t *testing.T) {
	tests := map[string]struct{ api, want string }{
		"name twice":            {apiJSON("Web "+flowiseA+" "+secretA, "Web "+flowiseB+" "+secretB), `several of that name`},
		"no list":               {`{"keyName":"Web"}`, "not a key file of Flowise"},
		"null":                  {`null`, "it holds no list"},
		"something after":       {apiJSON() + "x", "something follows the list"},
		"a number for a secret": {`[{"keyName":"Web","id":"` + flowiseA + `","apiKey":1}]`, `"apiKey" is not text`},
	}
	for name, tt := range tests {
		path, _ := withFlowise(t, usesFlowise, tt.api)
		if _, err := keystore.Open(path, keystore.Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Open = %v, want %q", name, err, tt.want)
		}
	}
	warned := map[string]string{
		"not there":        apiJSON("Other " + flowiseA + " " + secretA),
		"short secret":     apiJSON("Web " + flowiseA + " short"),
		"our own secret":   apiJSON("Web " + flowiseA + " our-own-secret-0123456789"),
		"id of no use":     apiJSON("Web a/b " + secretA),
		"our own key's ID": apiJSON("own " + flowiseA + " " + secretA),
	}
	for name, api := range warned {
		path, _ := withFlowise(t, usesFlowise, api)
		s, err := keystore.Open(path, keystore.Options{})
		if err != nil {
			t.Errorf("%s: Open = %v, want a warning", name, err)
			continue
		}
		if len(s.Snapshot().Warnings) == 0 || opens(s, secretA) || !opens(s, "our-own-secret-0123456789") {
			t.Errorf("%s: warnings %q, key open %t, our own %t; want a warning, no, yes", name, s.Snapshot().Warnings, opens(s, secretA), opens(s, "our-own-secret-0123456789"))
		}
		for _, w := range s.Snapshot().Warnings {
			if strings.Contains(w, secretA) {
				t.Errorf("%s: a secret stands in the warning %q", name, w)
			}
		}
	}
}

// FuzzFlowiseKeys: whatever the file holds, there is a fault or a snapshot in which our own key works.
func FuzzFlowiseKeys(f *testing.F) {
	f.Add([]byte(apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB)))
	f.Add([]byte(`[{"keyName":"own","id":"own","apiKey":"our-own-secret-0123456789"}]`))
	f.Add([]byte(`[{"keyName":null}]`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, api []byte) {
		path, _ := withFlowise(t, usesFlowise, string(api))
		s, err := keystore.Open(path, keystore.Options{})
		if err == nil && !opens(s, "our-own-secret-0123456789") {
			t.Errorf("our own key does not open the chatflow beside %q", api)
		}
	})
}
