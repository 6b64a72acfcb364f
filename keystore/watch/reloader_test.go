package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

const reloaderLimit = 1000

// numbers returns a Reloader of files that all hold the same number, and a function that reloads them and checks the
// result.
func numbers(paths ...string) (*watch.Reloader[int], func(t *testing.T, explicit bool, want string)) {
	r := watch.NewReloader(reloaderLimit, func(contents [][]byte, err error) (n int, _ error) {
		if err != nil {
			return 0, fmt.Errorf("reading a number: %w", err)
		}
		for i, content := range contents {
			if n, err = strconv.Atoi(string(content)); err != nil || string(content) != string(contents[0]) {
				return 0, fmt.Errorf("%s: not the number: %q", paths[i], content)
			}
		}
		return n, nil
	}, paths...)
	return r, func(t *testing.T, explicit bool, want string) {
		t.Helper()
		before := r.Value()
		re := r.Reload(explicit)
		got := fmt.Sprint(re.Result, " ", re.New)
		if re.IsNews {
			got += " news"
		}
		if re.RetryIn > 0 {
			got += " retry"
		}
		if re.Err != nil {
			got += ": " + re.Err.Error()
		}
		if !strings.HasPrefix(got, want) || !strings.Contains(want, ":") && got != want {
			t.Errorf("Reload(%t) = %s, want %s", explicit, got, want)
		}
		if re.Old != before || re.New != r.Value() || (re.Err == nil) != (re.Result != watch.Failed) || re.IsNews && r.Fault() != re.Err { //nolint:errorlint // the same one
			t.Errorf("Reload(%t) = %+v with the value %d before, and then %d and fault %v", explicit, re, before, r.Value(), r.Fault())
		}
	}
}

// TestReloader changes a file in every way. Content that must be complete applies at once, other content when it has been
// unchanged for [watch.SettleTime]. A fault is reported once.
func TestReloader(t *testing.T) {
	const held = "unchanged 1 retry"
	for _, tt := range []struct {
		name        string
		change      func(t *testing.T, dir, path string)
		first, then string // results at once, and after SettleTime
	}{
		{"nothing", func(*testing.T, string, string) {}, "unchanged 1", "unchanged 1"},
		{"renamed over", func(t *testing.T, dir, _ string) { t.Helper(); replaceBy("number")(t, dir, "", nil, "2") }, "success 2 news", "unchanged 2"},
		{"the same, renamed over", func(t *testing.T, dir, _ string) { t.Helper(); replaceBy("number")(t, dir, "", nil, "1") }, "unchanged 1", "unchanged 1"},
		{"written in place", func(t *testing.T, _, path string) { t.Helper(); write(t, path, "2") }, held, "success 2 news"},
		{"the same, written in place", func(t *testing.T, _, path string) { t.Helper(); write(t, path, "1") }, "unchanged 1", "unchanged 1"},
		{"a mounted Secret", func(t *testing.T, dir, path string) {
			t.Helper()
			for i, version := range []string{"..1", "..2"} { // as in mount
				mkdir(t, filepath.Join(dir, version))
				write(t, filepath.Join(dir, version, "number"), strconv.Itoa(i+1))
				link(t, version, filepath.Join(dir, "..data"))
			}
			link(t, "..data/number", path)
		}, "success 2 news", "unchanged 2"},
		{"removed", func(t *testing.T, _, path string) { t.Helper(); remove(t, path) }, held, "failure 1 news: reading a number: stat "},
		{"its directory removed", func(t *testing.T, dir, _ string) { t.Helper(); remove(t, dir) }, held, "failure 1 news: reading a number: stat "},
		{"a directory in its place", func(t *testing.T, _, path string) { t.Helper(); remove(t, path); mkdir(t, path) }, held, "failure 1 news: reading a number: read "},
		{"a link to itself", func(t *testing.T, _, path string) { t.Helper(); link(t, "number", path) }, held, "failure 1 news: reading a number: stat "},
		{"a device", func(t *testing.T, _, path string) { t.Helper(); link(t, "/dev/zero", path) }, held, "failure 1 news: reading a number: read "},
		{"huge", func(t *testing.T, _, path string) { t.Helper(); check(t, os.Truncate(path, 1<<40)) }, held, "failure 1 news: reading a number: read "},
		{"empty", func(t *testing.T, _, path string) { t.Helper(); write(t, path, "") }, held, "failure 1 news: "},
		{"invalid", func(t *testing.T, dir, _ string) { t.Helper(); replaceBy("number")(t, dir, "", nil, "x") }, held, "failure 1 news: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "d")
				path := filepath.Join(dir, "number")
				mkdir(t, dir)
				write(t, path, "1")
				_, reload := numbers(path)
				reload(t, false, "success 1 news") // nothing applies yet, so nothing waits
				time.Sleep(time.Hour)
				tt.change(t, dir, path)
				reload(t, false, tt.first)
				time.Sleep(watch.SettleTime - time.Nanosecond)
				if tt.first == held {
					reload(t, false, held)
				}
				time.Sleep(time.Nanosecond)
				reload(t, false, tt.then)
				if fault, failed := strings.CutPrefix(tt.then, "failure 1 news"); failed {
					reload(t, false, "failure 1"+fault) // not reported again
					reload(t, true, "failure 1 news"+fault)
					mkdir(t, dir)
					remove(t, path)
					replaceBy("number")(t, dir, "", nil, "1")
					reload(t, false, "unchanged 1 news")
					reload(t, false, "unchanged 1")
				}
			})
		})
	}
}

// TestReloaderExplicit explicitly reloads content that waits.
func TestReloaderExplicit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "number")
		_, reload := numbers(path)
		for range 2 { // without a last good content a fault does not wait
			reload(t, false, "failure 0 news: reading")
			write(t, path, "x")
			reload(t, false, "failure 0 news: "+path)
			remove(t, path)
		}
		write(t, path, "1")
		reload(t, true, "success 1 news")
		reload(t, true, "unchanged 1 news")
		write(t, path, "2")
		reload(t, false, "unchanged 1 retry")
		reload(t, true, "success 2 news")
		write(t, path, "x")
		reload(t, false, "unchanged 2 retry")
		reload(t, true, "failure 2 news: "+path)
		write(t, path, "2") // the old content is back
		reload(t, false, "unchanged 2 news")
		write(t, path, "x")
		reload(t, false, "unchanged 2 retry")
		write(t, path, "2") // the old content is back before the fault was reported
		reload(t, false, "unchanged 2")
		write(t, path, "x")
		reload(t, true, "failure 2 news: "+path)
		write(t, path, "y") // another fault is news
		reload(t, false, "failure 2 news: "+path)
		for i := range 5 { // it is never complete while it is written to
			write(t, path, strconv.Itoa(3+i))
			reload(t, false, "unchanged 2 retry")
			time.Sleep(watch.SettleTime - time.Nanosecond)
		}
		time.Sleep(time.Nanosecond)
		reload(t, false, "success 7 news")
	})
}

// TestReloaderOfPair replaces the files of a pair one after the other.
func TestReloaderOfPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		paths := []string{filepath.Join(dir, "one"), filepath.Join(dir, "two")}
		write(t, paths[0], "1")
		write(t, paths[1], "1")
		_, reload := numbers(paths...)
		reload(t, true, "success 1 news")
		replaceBy("one")(t, dir, "", nil, "2")
		reload(t, false, "unchanged 1 retry")
		time.Sleep(watch.SettleTime - time.Nanosecond)
		reload(t, false, "unchanged 1 retry")
		replaceBy("two")(t, dir, "", nil, "2")
		reload(t, false, "success 2 news")
		remove(t, paths[0])
		remove(t, paths[1])
		time.Sleep(time.Hour)
		reload(t, false, "unchanged 2 retry")
		time.Sleep(watch.SettleTime)
		reload(t, false, "failure 2 news: reading a number: stat "+paths[0]+": no such file or directory\nstat "+paths[1])
	})
}

// TestReloaderTogether reloads in several goroutines while the file is replaced. The content that is read last applies.
func TestReloaderTogether(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "number")
	write(t, path, "0")
	r, reload := numbers(path)
	reload(t, true, "success 0 news")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for last := 0; last < 50; {
				n := r.Reload(i%2 == 0).New
				if n < last || r.Value() < n || r.Fault() != nil {
					t.Errorf("value = %d after %d, then %d, fault %v", n, last, r.Value(), r.Fault())
					return
				}
				last = n
			}
		})
	}
	for n := range 50 {
		replaceBy("number")(t, dir, "", nil, strconv.Itoa(n+1))
	}
	all.Wait()
	if r.Value() != 50 {
		t.Errorf("value = %d, want the last one, 50", r.Value())
	}
}
