package keystore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestHash: the hash of a snapshot depends on the content it was made from, and not on where the file is.
func TestHash(t *testing.T) {
	t.Parallel()
	hash := func(s *keystore.Store) string { return s.Snapshot().Hash() }
	path := testkit.WriteFile(t, "keys.yaml", keyFile("a"))
	s := openFile(t, path)
	sum := sha256.Sum256([]byte(keyFile("a")))
	first := hash(s)
	if want := hex.EncodeToString(sum[:4]); first != want {
		t.Errorf("Hash() = %q, want %q, the beginning of the file's SHA-256", first, want)
	}
	if got := hash(openFile(t, testkit.WriteFile(t, "copy.yaml", keyFile("a")))); got != first {
		t.Errorf("Hash() of a copy = %q, want %q", got, first)
	}

	testkit.ReplaceFile(t, path, "version: 1\nkeys: [}\n")
	if s.Reload(); hash(s) != first {
		t.Errorf("Hash() after a fault = %q, want %q, of what is active", hash(s), first)
	}
	testkit.ReplaceFile(t, path, keyFile("a")+"# another line\n")
	if s.Reload(); hash(s) == first {
		t.Errorf("Hash() of another file = %q, want another one", hash(s))
	}
	parsed, err := keystore.Parse("keys.yaml", []byte(keyFile("a")))
	if err != nil || parsed.Hash() != "" {
		t.Errorf("Hash() outside a store = %q, %v, want none", parsed.Hash(), err)
	}
}

// TestHashOfFlowiseKeys: the hash covers Flowise's own keys.
func TestHashOfFlowiseKeys(t *testing.T) {
	t.Parallel()
	path, api := withFlowise(t, usesFlowise, apiJSON("Web "+flowiseA+" "+secretA))
	s := openFile(t, path)
	first := s.Snapshot().Hash()
	writeFile(t, api, apiJSON("Web "+flowiseA+" "+secretB))
	if s.Reload(); s.Snapshot().Hash() == first {
		t.Error("Hash() is the same with another secret in Flowise's file")
	}
	second := s.Snapshot().Hash()
	writeFile(t, filepath.Join(filepath.Dir(api), "api.json"), "[")
	if s.Reload(); s.Snapshot().Hash() != second {
		t.Errorf("Hash() with a broken Flowise file = %q, want %q, of the keys that stay active", s.Snapshot().Hash(), second)
	}
}

// TestContent opens a key file that was read already, under a name where there is no such file.
func TestContent(t *testing.T) {
	t.Parallel()
	s, err := keystore.Open("/dev/stdin", keystore.Options{Content: []byte(keyFile("a"))})
	if err != nil {
		t.Fatal(err)
	}
	if k := s.Snapshot().Key("a"); k == nil || s.Snapshot().File != "/dev/stdin" {
		t.Errorf("Key(a) of %s = %v, want it", s.Snapshot().File, k)
	}
	if r := s.Reload(); r.Result != keystore.Unchanged {
		t.Errorf("Reload() = %v %v, want unchanged", r.Result, r.Err)
	}
	if _, err := keystore.Open("/dev/stdin", keystore.Options{Content: []byte{}}); err == nil {
		t.Error("Open of an empty content = nil, want an error")
	}
}

func openFile(t *testing.T, path string) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
