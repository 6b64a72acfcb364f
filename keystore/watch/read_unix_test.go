//go:build unix

package watch

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// odd makes files that must not be read, each with part of the error for it.
func odd(t *testing.T, limit int64) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	at := func(name string) string { return filepath.Join(dir, name) }
	l, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	put(t, at("sparse"), "")
	if err := errors.Join(
		syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("pipe", at("link to pipe")), os.Symlink("/dev/zero", at("link to zero")),
		os.Mkdir(at("dir"), 0o700), os.Symlink("dir", at("link to dir")), os.Truncate(at("sparse"), limit+1),
		os.Symlink("loop", at("loop")),
	); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		at("pipe"): "it is a named pipe, not a regular file", at("link to pipe"): "it is a named pipe", at("socket"): "it is a socket",
		"/dev/null": "it is a device", at("link to zero"): "it is a device", at("dir"): "it is a directory", at("link to dir"): "it is a directory",
		at("sparse"): "it is larger than", at("none"): "no such file", at("loop"): "symbolic links", "": "no such file",
	}
}

// TestOddFiles: none of them is read, and none blocks the reader.
func TestOddFiles(t *testing.T) {
	for _, limit := range []int64{64 << 10, 1 << 20, 2 << 30} {
		for path, want := range odd(t, limit) {
			data, err := ReadFile(path, limit)
			if at := (*fs.PathError)(nil); data != nil || !errors.As(err, &at) || !strings.Contains(err.Error(), want) {
				t.Errorf("ReadFile(%q) = %d bytes, %v, want a PathError with %q", path, len(data), err, want)
			}
			if _, _, err := NewFile(path, limit).Open(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Open(%q) = %v, want %q", path, err, want)
			}
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"", "a", strings.Repeat("b", 1000)} {
		put(t, path, content)
		if got, err := ReadFile(path, 1000); string(got) != content || err != nil {
			t.Errorf("ReadFile = %d bytes, %v, want %d", len(got), err, len(content))
		}
	}
	put(t, path, strings.Repeat("b", 1001))
	if _, err := ReadFile(path, 1000); err == nil {
		t.Error("ReadFile of 1001 bytes with a limit of 1000 = nil, want an error")
	}
	if !IsDir(filepath.Dir(path)) || IsDir(path) || IsDir(path+".none") {
		t.Error("IsDir: want a directory, and neither a file nor nothing")
	}
}

// TestParts reads a large file in pieces of all sizes, forwards and backwards.
func TestParts(t *testing.T) {
	content := make([]byte, large+3*partSize+17)
	for i := range content {
		content[i] = byte(i >> 8 * 7)
	}
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, string(content))
	c, _, err := NewFile(path, 1<<30).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{1, 4 << 10, partSize - 1, partSize, partSize + 1, 2 * partSize, len(content)} {
		for _, at := range []int{0, 1, partSize - 1, partSize, len(content) - size, 0} {
			at = min(at, len(content)-size)
			p := make([]byte, size)
			if n, err := c.ReadAt(p, int64(at)); n != size || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(p, content[at:at+size]) {
				t.Errorf("ReadAt(%d bytes, %d) = %d, %v, want the content there", size, at, n, err)
			}
		}
	}
	if n, err := c.ReadAt(make([]byte, 10), int64(len(content)-3)); n != 3 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt over the end = %d, %v, want 3, %v", n, err, io.EOF)
	}
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size())); err != nil || len(data) > len(content) {
		t.Errorf("ReadAll of a file that was truncated = %d bytes, %v", len(data), err)
	}
	if err := c.Close(); !errors.Is(err, ErrChanging) {
		t.Errorf("Close() = %v, want %v", err, ErrChanging)
	}
}

// TestFileThatGrows reads a file that is written to all the time. Reading ends, with an error or with what was there.
func TestFileThatGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, strings.Repeat("a", large-1))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var stop atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		chunk := bytes.Repeat([]byte("b"), 64<<10)
		for n := 0; !stop.Load() && n < 64<<20; n += len(chunk) {
			if _, err := file.Write(chunk); err != nil {
				t.Error(err)
				return
			}
		}
	})
	f := NewFile(path, 4*large)
	for range 20 {
		c, _, err := f.Open()
		if err != nil {
			continue
		}
		if n, err := io.Copy(io.Discard, c); err != nil || n > 4*large {
			t.Errorf("content = %d bytes, %v, want at most %d", n, err, 4*large)
		}
		c.Close()
	}
	stop.Store(true)
	writer.Wait()
}

// BenchmarkLargeFile reads a key file of a million keys, and for comparison reads it without limits.
func BenchmarkLargeFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 116<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("limited", func(b *testing.B) {
		for b.Loop() {
			c, err := openContent(path, 1<<30)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
			c.release()
		}
	})
	b.Run("direct", func(b *testing.B) {
		for b.Loop() {
			file, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, struct{ io.Reader }{file})
			file.Close()
		}
	})
}
