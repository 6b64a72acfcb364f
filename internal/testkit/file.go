package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// WriteFile writes a file into a new temporary directory and returns its path.
func WriteFile(t testing.TB, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// PublicDir returns a new directory that every user of the machine can enter, unlike one from t.TempDir.
func PublicDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "flowlatch")
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// ReplaceFile replaces a file by rename, as editors do: a reader sees the old content or the new one.
func ReplaceFile(t testing.TB, path, content string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// Buffer is a bytes.Buffer that can be read while others write.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns all that was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
