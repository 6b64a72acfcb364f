package keystore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// files are a key file and Flowise's, looked at by hand in a bubble of synctest.
type bubble struct {
	*testing.T
	*Store
	dir      string
	admitted int // how often Validate was asked
}

// inBubble opens the files, lets them rest and has test look at them.
func inBubble(t *testing.T, keys, api string, test func(f *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &bubble{T: t, dir: t.TempDir()}
		f.put("keys.yaml", keys)
		f.put("api.json", api)
		s, err := Open(filepath.Join(f.dir, "keys.yaml"), Options{Validate: func(*Snapshot) error { f.admitted++; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		f.Store = s
		time.Sleep(settleTime)
		test(f)
	})
}

// put writes a file in place.
func (f *bubble) put(name, data string) {
	f.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(data), 0o600); err != nil {
		f.Fatal(err)
	}
}

// keysFile has keys of these IDs, which consist of letters below g; the first opens chatflow x.
func keysFile(ids ...string) string {
	var b strings.Builder
	b.WriteString("version: 1\nflowise_api_keys: api.json\nkeys:\n")
	for _, id := range ids {
		b.WriteString("  - {id: " + id + ", sha256: " + strings.Repeat(id, 64/len(id)) + "}\n")
	}
	b.WriteString("chatflows:\n  - {id: x, keys: [" + ids[0] + "]}\n")
	return b.String()
}

const (
	dashboardKeys = `[{"keyName":"Web","id":"1","apiKey":"a-secret-of-flowise-0000"}]`
	freshKeys     = `[{"keyName":"DefaultKey","id":"2","apiKey":"a-fresh-secret-000000000"}]`
)

// TestAdmittedOnce: what does not come into force is not put before Validate, which tells the operator
// what is odd about it.
func TestAdmittedOnce(t *testing.T) {
	t.Run("a change that has to rest", func(t *testing.T) {
		inBubble(t, keysFile("a", "b"), "[]", func(f *bubble) {
			f.put("keys.yaml", keysFile("a"))
			for range 3 {
				if _, again := f.reload(false); again == 0 || f.admitted != 1 {
					f.Fatalf("to be looked at again after %v, Validate asked %d times, want a rest and 1", again, f.admitted)
				}
				time.Sleep(settleTime / 4)
			}
			time.Sleep(settleTime)
			if f.reload(false); f.admitted != 2 || f.Status().Generation != 2 {
				f.Errorf("generation %d, Validate asked %d times, want 2 and 2", f.Status().Generation, f.admitted)
			}
		})
	})
	t.Run("Flowise's keys are lost", func(t *testing.T) {
		inBubble(t, keysFile("a"), dashboardKeys, func(f *bubble) {
			f.put("api.json", freshKeys)
			for range 5 {
				f.reload(false)
				time.Sleep(settleTime)
			}
			if st := f.Status(); !st.Stale || f.admitted != 1 {
				f.Errorf("stale %t, Validate asked %d times, want a fault and 1", st.Stale, f.admitted)
			}
		})
	})
}

// TestRewrittenAllTheTime has a program write the file in place every second, each time with the time in a
// comment. What it says rests though the bytes do not.
func TestRewrittenAllTheTime(t *testing.T) {
	for name, api := range map[string]string{"all is well": dashboardKeys, "Flowise's file has a fault": "["} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, keysFile("a", "b", "c", "d"), dashboardKeys, func(f *bubble) {
				f.put("api.json", api)
				f.reload(false)
				time.Sleep(settleTime)
				f.reload(false)
				write := func(ids ...string) (keys int) {
					f.put("keys.yaml", "# "+time.Now().String()+"\n"+keysFile(ids...))
					f.reload(false)
					time.Sleep(time.Second)
					f.reload(false)
					return len(f.Snapshot().Keys()) - 1 // without Flowise's
				}
				// A file that becomes another one every time is one that is still being written.
				for _, ids := range [][]string{{"a"}, {"a", "b"}, {"a", "c"}} {
					if n := write(ids...); n != 4 {
						f.Fatalf("%d keys while what the file says changes, want 4", n)
					}
				}
				if n := write("a", "c"); n != 2 {
					f.Errorf("%d keys after the file has said so for two seconds, want 2", n)
				}
				if stale := f.Status().Stale; stale != (api == "[") {
					f.Errorf("stale %t after all", stale)
				}
			})
		})
	}
}

// A fault is told of though the file that has it is written anew all the time.
func TestFaultyAllTheTime(t *testing.T) {
	inBubble(t, keysFile("a"), "[]", func(f *bubble) {
		for i, stale := range []bool{false, false, true} {
			f.put("keys.yaml", "# "+time.Now().String()+"\nversion: 2\n")
			if f.reload(false); f.Status().Stale != stale {
				f.Errorf("after %d s of faults: stale %t, want %t", i, f.Status().Stale, stale)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestResetBesideImportedDefault has Flowise lose its keys where the key file has a key of the name that
// Flowise gives the fresh one, as it has after an import.
func TestResetBesideImportedDefault(t *testing.T) {
	keys := strings.Replace(keysFile("a"), "keys:\n", "keys:\n  - {id: DefaultKey, sha256: "+strings.Repeat("d", 64)+"}\n", 1)
	inBubble(t, keys, dashboardKeys, func(f *bubble) {
		f.put("api.json", freshKeys)
		f.reload(false)
		time.Sleep(settleTime)
		if f.reload(false); f.Snapshot().Key("Web") == nil || !f.Status().Stale {
			f.Errorf("key of Flowise there: %t, stale: %t, want the key and the fault", f.Snapshot().Key("Web") != nil, f.Status().Stale)
		}
	})
}

// A fault is not looked for again at every poll, which for a large file takes seconds each time.
func TestFaultIsFoundOnce(t *testing.T) {
	const keys = "version: 1\nkeys:\n  - {id: a, secret: a-secret-of-a-key}\nchatflows:\n"
	inBubble(t, keys+"  - {id: x, keys: [a]}\n", "", func(f *bubble) {
		var large strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&large, "  - {id: y%d, keys: [a]}\n", i)
		}
		f.put("keys.yaml", keys+large.String()+"  - {id: x, keys: [b]}\n")
		for range 3 {
			f.reload(false)
			time.Sleep(settleTime)
		}
		if !f.Status().Stale {
			f.Fatal("no fault")
		}
		if n := testing.AllocsPerRun(3, func() { f.reload(false) }); n > 1000 {
			f.Errorf("a look at a fault that is known makes %.0f allocations", n)
		}
		if r := f.Reload(); r.Result != Failed || r.Err == nil {
			f.Errorf("Reload = %s, %v, want the fault", r.Result, r.Err)
		}
		f.put("keys.yaml", keys+large.String()+"  - {id: x, keys: [a]}\n")
		if f.reload(false); f.Status().Stale {
			f.Errorf("the fault is mended and still told: %v", f.Status().Err)
		}
	})
}
