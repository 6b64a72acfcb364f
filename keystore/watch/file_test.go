package watch

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// read opens f and checks the result.
func read(t *testing.T, f *File, want string, wantChanged bool) {
	t.Helper()
	c, changed, err := f.Open()
	if err != nil {
		t.Errorf("Open() = %v, want no error", err)
		return
	}
	content, err := io.ReadAll(c)
	if err != nil || changed != wantChanged || string(content) != want {
		t.Errorf("Open() = %d bytes, changed %t, %v, want %d bytes, changed %t", len(content), changed, err, len(want), wantChanged)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Errorf("Close() = %v, want no error", err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := NewFile(path, 1<<30)
	if _, changed, err := f.Open(); err == nil || changed {
		t.Errorf("Open() of no file = changed %t, %v, want an error", changed, err)
	}
	put(t, path, "")
	read(t, f, "", true)
	read(t, f, "", false)
	put(t, path, "a")
	read(t, f, "a", true)
	read(t, f, "a", false)
	put(t, path, "b")
	put(t, path, "a")
	read(t, f, "a", false) // as it was when it was last read
	put(t, path, "b")
	read(t, f, "b", true)
	// After an error the content counts as changed, whatever it is.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := f.Open(); err == nil || changed {
		t.Errorf("Open() of no file = changed %t, %v, want an error", changed, err)
	}
	put(t, path, "b")
	read(t, f, "b", true)
	read(t, f, "b", false)
	// The same holds after an error for a file that exists but cannot be read.
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := f.Open(); err == nil || changed {
		t.Errorf("Open() of a directory = changed %t, %v, want an error", changed, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	put(t, path, "b")
	read(t, f, "b", true)
	if f.Path() != path {
		t.Errorf("Path() = %q, want %q", f.Path(), path)
	}
}

// A large file is not read each time, but no change of it is missed.
func TestFileLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a, b := string(bytes.Repeat([]byte("a"), large)), string(bytes.Repeat([]byte("b"), large))
	put(t, path, a)
	f := NewFile(path, 1<<30)
	read(t, f, a, true)

	// If it was read so early that another change could have the same times, it is read again.
	hashed := f.hashed
	if read(t, f, a, false); f.hashed.Equal(hashed) {
		t.Error("Open() just after a change did not read the file")
	}
	later := func() { f.hashed = f.hashed.Add(2 * racy) } // as if it had been read some time after the change
	later()
	hashed = f.hashed
	if read(t, f, a, false); runtime.GOOS == "linux" && !f.hashed.Equal(hashed) {
		t.Error("Open() of a large file without a change read it")
	}

	// The size, the time of modification and the inode number are the same, but the time of change differs.
	info := lstat(t, path)
	put(t, path, b)
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	later()
	read(t, f, b, true)

	// This is another file with the same size and time.
	put(t, path+"2", a)
	if err := os.Chtimes(path+"2", info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"2", path); err != nil {
		t.Fatal(err)
	}
	later()
	read(t, f, a, true)
}

// Writing to a large file while it is read is an error.
func TestFileChanging(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a := string(bytes.Repeat([]byte("a"), large))
	put(t, path, a)
	f := NewFile(path, 1<<30)
	c, _, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, a+"b")
	if err := c.Close(); !errors.Is(err, ErrChanging) {
		t.Errorf("Close() = %v, want %v", err, ErrChanging)
	}
	put(t, path, a)
	read(t, f, a, true) // even if the content is the same
	read(t, f, a, false)
}

func lstat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// A file that was renamed over another one is complete; one that is written to may not be.
func TestFileInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "0")
	f := NewFile(path, 1<<30)
	read(t, f, "0", true)
	if !f.InPlace() {
		t.Error("InPlace() of a file seen for the first time = false, want true: nobody knows how it came")
	}
	replace := func(content string) {
		put(t, path+".next", content)
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		do      func(content string)
		inPlace bool
	}{
		{replace, false},
		{func(c string) { put(t, path, c) }, true},
		{replace, false},
		{func(c string) { replace(c + "0"); put(t, path, c) }, false}, // not the file that was last read
		{func(c string) { put(t, path, c) }, true},
	} {
		content := string(rune('a' + i))
		step.do(content)
		read(t, f, content, true)
		if runtime.GOOS == "linux" && f.InPlace() != step.inPlace {
			t.Errorf("step %d: InPlace() = %t, want %t", i, f.InPlace(), step.inPlace)
		}
		read(t, f, content, false) // another read changes nothing
		if runtime.GOOS == "linux" && f.InPlace() != step.inPlace {
			t.Errorf("step %d: InPlace() at the next look = %t, want %t", i, f.InPlace(), step.inPlace)
		}
		if age := f.Age(); age < -time.Second || age > time.Minute {
			t.Errorf("step %d: Age() = %v, want next to nothing", i, age)
		}
	}
}

// The file system's time of a change counts only if it is possible.
func TestChangedAt(t *testing.T) {
	now := time.Now()
	last := now.Add(-2 * time.Second)
	for _, test := range []struct {
		name        string
		stamp, last time.Time
		want        time.Duration // before now
	}{
		{"between two looks", now.Add(-time.Second), last, time.Second},
		{"before the last look, which did not find it", now.Add(-3 * time.Second), last, 0},
		{"in the future", now.Add(time.Hour), last, 0},
		{"before the first look", now.Add(-time.Hour), time.Time{}, time.Hour},
	} {
		if got := now.Sub(changedAt(test.stamp, test.last, now)); got != test.want {
			t.Errorf("%s: changed %v ago, want %v", test.name, got, test.want)
		}
	}
}
