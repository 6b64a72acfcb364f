package keystore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
)

// keyFile is a key file with the keys named, all of which open chatflow x.
func keyFile(ids ...string) string { return keyFileFor("x", ids...) }

// keyFileFor is keyFile for another chatflow.
func keyFileFor(chatflow string, ids ...string) string {
	var v view
	for _, id := range ids {
		v.Keys = append(v.Keys, keyView{ID: id, Secrets: []secretView{{Digest: digest(id)}}})
	}
	v.Chatflows = []chatflowView{{ID: chatflow, Keys: ids, Public: len(ids) == 0}}
	return render(v)
}

// reloads remembers what a store reported.
type reloads struct {
	mu   sync.Mutex
	list []keystore.Reload
}

func (r *reloads) add(reload keystore.Reload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, reload)
}

// results describes each reload in a few words: the result, and what was added or is wrong.
func (r *reloads) results() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []string{}
	for _, reload := range r.list {
		s := fmt.Sprintf("%d %s", reload.Generation, reload.Result)
		if reload.Err != nil {
			s += ": " + strings.ReplaceAll(reload.Err.Error(), "\n", "; ")
		}
		list = append(list, s)
	}
	return list
}

func writeFile(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open writes a key file and opens it.
func open(t *testing.T, data string, opts keystore.Options) (*keystore.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	writeFile(t, path, data)
	s, err := keystore.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func snapshotIDs(s *keystore.Snapshot) string {
	var ids []string
	for _, k := range s.Keys() {
		ids = append(ids, k.ID)
	}
	return strings.Join(ids, " ")
}

func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"empty": "", "comments": "# keys\n", "faulty": "version: 2\n", "revoked": "version: 1\nkeys: []\nchatflows: []\n"} {
		writeFile(t, filepath.Join(dir, name), data)
	}
	for _, test := range []struct{ name, path, want string }{
		{"not there", "none.yaml", "it does not exist; name another with --keys, or make it with `flowlatch key new`"},
		{"directory not there", "none/keys.yaml", "it does not exist"},
		{"a directory", ".", "is a directory"},
		{"empty", "empty", "the file is empty"},
		{"only comments", "comments", "the file has only comments"},
		{"faulty", "faulty", `:1: version "2" is not known`},
		{"no chatflow", "revoked", "no chatflow is listed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, test.path)
			s, err := keystore.Open(path, keystore.Options{})
			if s != nil || err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open = %v, %v, want no store and %q with the path", s, err, test.want)
			}
		})
	}
	refused := errors.New("refused")
	writeFile(t, filepath.Join(dir, "good"), keyFile("a"))
	if s, err := keystore.Open(filepath.Join(dir, "good"), keystore.Options{Validate: func(*keystore.Snapshot) error { return refused }}); s != nil || !errors.Is(err, refused) {
		t.Errorf("Open with a file that Validate refuses = %v, %v, want no store and %v", s, err, refused)
	}
}

func TestReadError(t *testing.T) {
	for err, want := range map[error]string{
		os.ErrNotExist:   `reading key file "k": it does not exist`,
		os.ErrPermission: `reading key file "k": permission denied; the user that runs flowlatch must be able to read it and enter its directory`,
		os.ErrClosed:     `reading key file "k": file already closed`,
	} {
		if got := keystore.ReadError("k", err); !strings.HasPrefix(got.Error(), want) {
			t.Errorf("ReadError(%v) = %v, want %s", err, got, want)
		}
	}
}

// TestReload goes through the states of a file, one look at a time. Whatever is wrong with the file,
// the last good snapshot stays active.
func TestReload(t *testing.T) {
	var told reloads
	refuse := false
	s, path := open(t, keyFile("a"), keystore.Options{OnReload: told.add, Validate: func(n *keystore.Snapshot) error {
		if n.Key("bad") != nil || refuse {
			return errors.New("no key may be called bad")
		}
		n.Warnings = append(n.Warnings, "seen")
		return nil
	}})
	for _, step := range []struct {
		name       string
		do         func()
		result     keystore.Result
		err        string
		generation uint64
		keys       string
	}{
		{"nothing", func() {}, keystore.Unchanged, "", 1, "a"},
		{"another key", func() { writeFile(t, path, keyFile("a", "b")) }, keystore.Loaded, "", 2, "a b"},
		{"a comment", func() { writeFile(t, path, keyFile("a", "b")+"# b\n") }, keystore.Loaded, "", 3, "a b"},
		{"emptied", func() { writeFile(t, path, "") }, keystore.Failed, "the file is empty", 3, "a b"},
		{"still empty", func() {}, keystore.Failed, "the file is empty", 3, "a b"},
		{"removed", func() { _ = os.Remove(path) }, keystore.Failed, "does not exist", 3, "a b"},
		{"a directory", func() { _ = os.Mkdir(path, 0o755) }, keystore.Failed, "is a directory", 3, "a b"},
		{"cut off", func() { _ = os.Remove(path); writeFile(t, path, keyFile("a", "b")[:60]) }, keystore.Failed, "keys.yaml:", 3, "a b"},
		{"as it was", func() { writeFile(t, path, keyFile("a", "b")+"# b\n") }, keystore.Loaded, "", 4, "a b"},
		{"refused by Validate", func() { writeFile(t, path, keyFile("bad")) }, keystore.Failed, "no key may be called bad", 4, "a b"},
		{"revoked", func() { writeFile(t, path, keyFile("b")) }, keystore.Loaded, "", 5, "b"},
		{"refused for a cause outside", func() { refuse = true; writeFile(t, path, keyFile("c")) }, keystore.Failed, "no key may", 5, "b"},
		{"the cause is gone, the file the same", func() { refuse = false }, keystore.Loaded, "", 6, "c"},
		{"nothing more", func() {}, keystore.Unchanged, "", 6, "c"},
	} {
		step.do()
		before := s.Status()
		r := s.Reload()
		st := s.Status()
		if r.Result != step.result || r.Generation != step.generation || st.Generation != step.generation || snapshotIDs(s.Snapshot()) != step.keys {
			t.Errorf("%s: %s, generation %d, keys %s, want %s, %d, %s", step.name, r.Result, r.Generation, snapshotIDs(s.Snapshot()), step.result, step.generation, step.keys)
		}
		if got := fmt.Sprint(r.Err); (step.err == "") != (r.Err == nil) || !strings.Contains(got, step.err) {
			t.Errorf("%s: error %v, want %q", step.name, r.Err, step.err)
		}
		if st.Stale != (step.err != "") || fmt.Sprint(st.Err) != fmt.Sprint(r.Err) {
			t.Errorf("%s: Status is stale %t for %v, want %t for %v", step.name, st.Stale, st.Err, step.err != "", r.Err)
		}
		if st.Reloads[step.result] != before.Reloads[step.result]+1 {
			t.Errorf("%s: %d reloads counted, then %d, want one more", step.name, before.Reloads[step.result], st.Reloads[step.result])
		}
		if advanced := st.LastSuccess.After(before.LastSuccess); advanced != (step.err == "") {
			t.Errorf("%s: LastSuccess went from %v to %v", step.name, before.LastSuccess, st.LastSuccess)
		}
		if diff := cmp.Diff(st.Recent[0].Result, r.Result); diff != "" || len(st.Recent) > 10 {
			t.Errorf("%s: Recent has %d and begins with %s, want %s", step.name, len(st.Recent), st.Recent[0].Result, r.Result)
		}
		if w := s.Snapshot().Warnings; len(w) == 0 || w[len(w)-1] != "seen" {
			t.Errorf("%s: Warnings = %q, want what Validate added", step.name, w)
		}
	}
	if got := len(told.results()); got != 15 {
		t.Errorf("told of %d reloads that somebody asked for, want all 15", got)
	}
}

func TestReloadDiff(t *testing.T) {
	s, path := open(t, keyFile("a", "b", "c"), keystore.Options{})
	for _, step := range []struct {
		name, data string
		want       keystore.Diff
	}{
		{"comments", "# x\n" + keyFile("a", "b", "c"), keystore.Diff{}},
		{"order of the lists", strings.Replace(keyFile("a", "b", "c"), `"a", "b", "c"`, `"c", "b", "a"`, 1), keystore.Diff{}},
		{
			"all at once", "version: 1\nkeys:\n- {id: d, sha256: " + digest("d") + "}\n- {id: b, sha256: " + digest("b") + ", disabled: true}\n- {id: a, sha256: " + digest("a2") + "}\nchatflows:\n- {id: y, keys: [b]}\n- {id: x, keys: [a, b, d]}\n",
			keystore.Diff{KeysAdded: []string{"d"}, KeysRemoved: []string{"c"}, KeysChanged: []string{"b", "a"}, ChatflowsAdded: []string{"y"}, ChatflowsChanged: []string{"x"}},
		},
		{
			"times and names", "version: 1\nkeys:\n- {id: d, sha256: " + digest("d") + ", not_after: 2027-01-01T00:00:00Z}\n- {id: b, sha256: " + digest("b") + ", disabled: true}\n- {id: a, secrets: [{sha256: " + digest("a2") + ", not_before: 2020-01-01T00:00:00Z}]}\nchatflows:\n- {id: y, name: n, keys: [b]}\n- {id: x, keys: [a, b, d], public: true}\n",
			keystore.Diff{KeysChanged: []string{"d", "a"}, ChatflowsChanged: []string{"y", "x"}},
		},
		{
			"the upstream's credential", "version: 1\nchatflows:\n- {id: x, public: true, upstream_authorization: forward}\n",
			keystore.Diff{KeysRemoved: []string{"d", "b", "a"}, ChatflowsRemoved: []string{"y"}, ChatflowsChanged: []string{"x"}},
		},
		{
			"the credential alone", "version: 1\nchatflows:\n- {id: x, public: true, upstream_authorization: remove}\n",
			keystore.Diff{ChatflowsChanged: []string{"x"}},
		},
	} {
		writeFile(t, path, step.data)
		r := s.Reload()
		if r.Result != keystore.Loaded {
			t.Errorf("%s: %s, %v", step.name, r.Result, r.Err)
		}
		if diff := cmp.Diff(step.want, r.Diff); diff != "" {
			t.Errorf("%s: Diff (-want +got):\n%s", step.name, diff)
		}
		if got, want := r.Empty(), cmp.Equal(step.want, keystore.Diff{}); got != want {
			t.Errorf("%s: Empty() = %t, want %t", step.name, got, want)
		}
	}
}

// Changing what Status returned changes nothing in the store.
func TestStatusIsACopy(t *testing.T) {
	s, path := open(t, keyFile("a"), keystore.Options{})
	st := s.Status()
	st.Reloads[keystore.Failed] = 7
	st.Recent[0].Result = keystore.Failed
	if again := s.Status(); again.Reloads[keystore.Failed] != 0 || again.Recent[0].Result != keystore.Loaded {
		t.Errorf("Status was changed from outside: %+v", again)
	}
	if st.Path != path || time.Since(st.LastSuccess) > time.Minute || st.Recent[0].Time != st.LastSuccess {
		t.Errorf("Status = %+v, want path %s and the time of the one reload", st, path)
	}
}
