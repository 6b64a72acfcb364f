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
	path, api := withFlowise(t, usesFlowise, apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB))
	var told reloads
	s, err := keystore.Open(path, keystore.Options{OnReload: told.add})
	if err != nil {
		t.Fatal(err)
	}
	if !opens(s, secretA) || !opens(s, secretB) || !opens(s, "our-own-secret-0123456789") {
		t.Fatal("a key by name, one by id and our own do not all open the chatflow")
	}
	run(t, s)
	steps := []struct {
		what, write string
		a, b        bool
	}{
		{"a key is deleted in the dashboard", apiJSON("Web " + flowiseA + " " + secretA), true, false},
		{"and made again under the name", apiJSON("Web "+flowiseB+" "+secretB, "Other "+flowiseA+" "+secretA), false, true},
		{"all are deleted", "[]", false, false},
		{"and put back", apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB), true, true},
	}
	for _, step := range steps {
		begin := time.Now()
		writeFile(t, api, step.write)
		eventually(t, step.what, func() bool { return opens(s, secretA) == step.a && opens(s, secretB) == step.b })
		t.Logf("%s: seen after %v", step.what, time.Since(begin).Round(time.Millisecond))
		if !opens(s, "our-own-secret-0123456789") {
			t.Errorf("%s: our own key does not open the chatflow", step.what)
		}
	}
}

// TestFlowiseKeysHalfWritten cuts the file off at every byte: no key may be lost by that.
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

// TestFlowiseKeysReset has Flowise lose its keys and make a fresh DefaultKey: the old ones stay until
// somebody says that it was meant.
func TestFlowiseKeysReset(t *testing.T) {
	path, api := withFlowise(t, usesFlowise, apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB))
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	writeFile(t, api, apiJSON("DefaultKey 00000000000000000000000000000000 a-fresh-secret-000000000000000"))
	eventually(t, "the fault", func() bool { return s.Status().Stale })
	if err := s.Status().Err; !strings.Contains(err.Error(), "DefaultKey") || !opens(s, secretA) {
		t.Errorf("after the reset: %v, key open %t, want the fault and the key", err, opens(s, secretA))
	}
	if r := s.Reload(); r.Result != keystore.Loaded || opens(s, secretA) {
		t.Errorf("asked to reload = %s, key open %t, want the new file in force", r.Result, opens(s, secretA))
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

// TestFlowiseFaultHoldsNothingElse revokes our own key while Flowise's file is in each kind of trouble:
// it is gone, and the keys that Flowise had last go on.
func TestFlowiseFaultHoldsNothingElse(t *testing.T) {
	whole := apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB)
	for name, trouble := range map[string]func(path string) error{
		"missing": os.Remove,
		"cut off": func(path string) error { return os.WriteFile(path, []byte(whole[:len(whole)/2]), 0o600) },
		"reset": func(path string) error {
			return os.WriteFile(path, []byte(apiJSON("DefaultKey 00000000000000000000000000000000 a-fresh-secret-000000000000000")), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, api := withFlowise(t, usesFlowise, whole)
			s, err := keystore.Open(path, keystore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			run(t, s)
			if err := trouble(api); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the fault", func() bool { return s.Status().Stale })
			replaceFile(t, path, strings.Replace(usesFlowise, "{id: own,", "{id: own, disabled: true,", 1))
			eventually(t, "our own key being gone", func() bool { return !opens(s, "our-own-secret-0123456789") })
			if !opens(s, secretA) || !opens(s, secretB) {
				t.Error("a key of Flowise is lost")
			}
			if !s.Status().Stale || s.Status().Generation != 2 {
				t.Errorf("stale %t, generation %d, want the fault to be told and generation 2", s.Status().Stale, s.Status().Generation)
			}
			replaceFile(t, api, whole)
			eventually(t, "the end of the fault", func() bool { return !s.Status().Stale })
			if opens(s, "our-own-secret-0123456789") || !opens(s, secretA) {
				t.Error("the end of the fault brought the revoked key back, or lost one of Flowise's")
			}
		})
	}
}
