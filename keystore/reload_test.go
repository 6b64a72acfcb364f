package keystore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// bubble is a store of a key file and Flowise's in a bubble of synctest. The test tells it when to read them, because
// time in a bubble stands still while a goroutine waits for the kernel.
type bubble struct {
	*testing.T
	*Store
	dir      string
	admitted int // how often Validate was called
}

// inBubble opens the files, lets them settle and calls test.
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

// look does what the watch does after an event, and then by its poll for some time.
func (f *bubble) look(during time.Duration) {
	for end := time.Now().Add(during); ; {
		_, retryIn := f.reload(false)
		if retryIn == 0 || retryIn > watch.Poll {
			retryIn = watch.Poll
		}
		if left := time.Until(end); retryIn > left {
			time.Sleep(left)
			return
		}
		time.Sleep(retryIn)
	}
}

// opens reports whether a secret opens chatflow x now.
func (f *bubble) opens(secret string) bool {
	m := f.Snapshot().Match(DigestOf(secret), time.Now())
	return m.Validity == Valid && f.Snapshot().Opens(m.Key, "x")
}

// rename puts a new file in the place of another one, by renaming it.
func (f *bubble) rename(name, data string) {
	f.Helper()
	f.put(name+".next", data)
	if err := os.Rename(filepath.Join(f.dir, name+".next"), filepath.Join(f.dir, name)); err != nil {
		f.Fatal(err)
	}
}

// put writes a file in place.
func (f *bubble) put(name, data string) {
	f.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(data), 0o600); err != nil {
		f.Fatal(err)
	}
}

// keysFile has keys with these IDs, which consist of letters from a to f. The first key opens chatflow x.
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

// TestAdmittedOnce: Validate is not called with a snapshot that is not applied, because it tells the operator what is odd
// about it.
func TestAdmittedOnce(t *testing.T) {
	t.Run("a change that must settle", func(t *testing.T) {
		inBubble(t, keysFile("a", "b"), "[]", func(f *bubble) {
			f.put("keys.yaml", keysFile("a"))
			for range 3 {
				if _, again := f.reload(false); again == 0 || f.admitted != 1 {
					f.Fatalf("to be looked at again after %v, Validate asked %d times, want to wait, and 1", again, f.admitted)
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

// TestRewrittenAllTheTime has a program write the file in place every second, each time with the time in a comment. Its
// meaning settles, although its bytes do not.
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
				// A file whose meaning changes every time is still being written.
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

// A fault is reported even if the file that has it is rewritten all the time.
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

// TestResetBesideImportedDefault has Flowise lose its keys while the key file has a key with the name that Flowise gives
// its fresh one, as it has after an import.
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

// A fault is not searched for again at every poll, which would take seconds each time for a large file.
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

// TestWrittenInTwoHalves writes a file in place with a pause in the middle, when it is valid but lacks chatflows. None
// may be lost on the way, and what was removed must be gone at the end.
func TestWrittenInTwoHalves(t *testing.T) {
	half := strings.TrimSuffix(keysFile("a", "b"), "\n") + "\n"
	whole := half + "  - {id: y, keys: [b]}\n  - {id: z, keys: [a, b]}\n"
	inBubble(t, whole, "[]", func(f *bubble) {
		listed := func(id string) bool { c, _ := f.Snapshot().Chatflow(id); return c != nil }
		f.put("keys.yaml", half)
		for range 10 {
			if f.look(settleTime / 11); !listed("x") || !listed("y") || !listed("z") {
				f.Fatal("a chatflow was lost while the file was being written")
			}
		}
		f.put("keys.yaml", strings.Replace(whole, "z,", "new,", 1))
		if f.look(settleTime - 1); !listed("y") || listed("new") {
			f.Errorf("chatflow new is there %t before the file has settled", listed("new"))
		}
		if f.look(1); !listed("new") || listed("z") || f.Status().Stale {
			f.Errorf("chatflow new is there: %t, z: %t, stale: %t, want the complete file", listed("new"), listed("z"), f.Status().Stale)
		}
	})
}

// TestRenamedIsApplied puts another file in the place of the first. What it lacks is gone at once.
func TestRenamedIsApplied(t *testing.T) {
	inBubble(t, keysFile("a", "b"), "[]", func(f *bubble) {
		f.rename("keys.yaml", keysFile("a"))
		if _, retryIn := f.reload(false); f.Snapshot().Key("b") != nil || retryIn != 0 {
			f.Errorf("the key that was removed is there: %t, to be looked at again after %v", f.Snapshot().Key("b") != nil, retryIn)
		}
	})
}

// TestLimitIsNotLost writes a file in place that for a while lacks its last line, which limits what clients may send.
func TestLimitIsNotLost(t *testing.T) {
	const open = "version: 1\nchatflows:\n- id: x\n  public: true\n"
	const limited = open + "  body: {deny: [uploads]}\n"
	inBubble(t, limited, "", func(f *bubble) {
		denied := func() int { c, _ := f.Snapshot().Chatflow("x"); return len(c.Body.Deny) }
		f.put("keys.yaml", open)
		if f.look(settleTime - 1); denied() != 1 {
			f.Fatal("the limit was lost while the file was being written")
		}
		if f.look(1); denied() != 0 {
			f.Fatal("the limit is still there after the file has settled without it")
		}
		f.put("keys.yaml", limited) // removes nothing
		if f.look(0); denied() != 1 {
			f.Error("the limit is not back")
		}
	})
}

const flowiseSecret, ownSecret = "a-secret-of-flowise-0000", "a-secret-of-our-own-0000"

// TestFlowiseKeysFollow deletes and creates keys as Flowise's dashboard does.
func TestFlowiseKeysFollow(t *testing.T) {
	const other = `{"keyName":"Batch","id":"2","apiKey":"another-of-flowise-00000"}`
	web := strings.Trim(dashboardKeys, "[]")
	keys := "version: 1\nflowise_api_keys: api.json\nkeys:\n  - {id: own, secret: " + ownSecret + "}\nchatflows:\n  - {id: x, keys: [own, Web, \"2\"]}\n"
	inBubble(t, keys, dashboardKeys, func(f *bubble) {
		for _, step := range []struct {
			name, api  string
			web, batch bool
		}{
			{"as it was", dashboardKeys, true, false},
			{"a key is created", "[" + web + "," + other + "]", true, true},
			{"a key is deleted", "[" + other + "]", false, true},
			{"and created again under its name", "[" + other + "," + strings.Replace(web, `"1"`, `"3"`, 1) + "]", true, true},
			{"all are deleted", "[]", false, false},
			{"and put back", "[" + web + "," + other + "]", true, true},
		} {
			f.put("api.json", step.api)
			f.look(0)
			if web, batch := f.opens(flowiseSecret), f.opens("another-of-flowise-00000"); web != step.web || batch != step.batch || !f.opens(ownSecret) {
				f.Errorf("%s: Web opens x %t, Batch %t, our own %t, want %t, %t, true", step.name, web, batch, f.opens(ownSecret), step.web, step.batch)
			}
		}
	})
}

// TestFlowiseFaultHoldsNothingElse revokes our own key while Flowise's file has each kind of trouble. The last keys of
// Flowise stay.
func TestFlowiseFaultHoldsNothingElse(t *testing.T) {
	const before = "version: 1\nflowise_api_keys: api.json\nkeys:\n  - {id: own, secret: " + ownSecret + "}\nchatflows:\n  - {id: x, keys: [own, Web]}\n"
	for name, api := range map[string]string{
		"missing":        "",
		"cut off":        dashboardKeys[:len(dashboardKeys)/2],
		"reset":          freshKeys,
		"reset, and one": strings.Replace(freshKeys, "]", `,{"keyName":"New","id":"3","apiKey":"a-new-secret-00000000000"}]`, 1),
		"a name twice":   strings.Replace(dashboardKeys, "]", `,{"keyName":"Web","id":"3","apiKey":"a-new-secret-00000000000"}]`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, before, dashboardKeys, func(f *bubble) {
				if api == "" {
					if err := os.Remove(filepath.Join(f.dir, "api.json")); err != nil {
						f.Fatal(err)
					}
				} else {
					f.put("api.json", api)
				}
				f.look(settleTime)
				if f.look(1); !f.Status().Stale || !f.opens(flowiseSecret) || !f.opens(ownSecret) {
					f.Fatalf("stale %t, Flowise's key opens x %t, our own %t, want all", f.Status().Stale, f.opens(flowiseSecret), f.opens(ownSecret))
				}
				f.rename("keys.yaml", strings.Replace(before, "{id: own,", "{id: own, disabled: true,", 1))
				if f.look(0); f.opens(ownSecret) || !f.opens(flowiseSecret) || !f.Status().Stale || f.Status().Generation != 2 {
					f.Errorf("after our own key was revoked: stale %t, generation %d, Flowise's key opens x %t, our own %t", f.Status().Stale, f.Status().Generation, f.opens(flowiseSecret), f.opens(ownSecret))
				}
				f.put("api.json", dashboardKeys)
				if f.look(0); f.opens(ownSecret) || !f.opens(flowiseSecret) || f.Status().Stale {
					f.Errorf("after the end of the fault: stale %t, Flowise's key opens x %t, our own %t", f.Status().Stale, f.opens(flowiseSecret), f.opens(ownSecret))
				}
			})
		})
	}
}

// TestFlowiseResetGoesOn has somebody continue in the dashboard after Flowise has lost its keys. The old ones stay until
// one of them is back.
func TestFlowiseResetGoesOn(t *testing.T) {
	const made, web = `{"keyName":"New","id":"3","apiKey":"a-new-secret-00000000000"}`, `{"keyName":"Web","id":"1","apiKey":"a-secret-of-flowise-0000"}`
	fresh := strings.Trim(freshKeys, "[]")
	inBubble(t, keysFile("a"), dashboardKeys, func(f *bubble) {
		for _, step := range []struct{ name, api string }{
			{"lost", "[" + fresh + "]"},
			{"a key is made", "[" + fresh + "," + made + "]"},
			{"the fresh one is renamed", "[" + strings.Replace(fresh, "DefaultKey", "Mine", 1) + "," + made + "]"},
			{"the fresh one is deleted", "[" + made + "]"},
			{"all are deleted", "[]"},
			{"lost again", "[" + strings.Replace(fresh, `"2"`, `"4"`, 1) + "]"},
		} {
			f.rename("api.json", step.api)
			f.look(2 * settleTime)
			if st := f.Status(); !st.Stale || f.Snapshot().Key("Web") == nil || f.Snapshot().Key("New") != nil {
				f.Errorf("%s: stale = %t, old key there = %t, new one = %t, want the old one, and a fault", step.name, st.Stale, f.Snapshot().Key("Web") != nil, f.Snapshot().Key("New") != nil)
			}
		}
		f.rename("api.json", "["+made+","+web+"]")
		if f.look(settleTime); f.Status().Stale || f.Snapshot().Key("Web") == nil || f.Snapshot().Key("New") == nil {
			f.Errorf("an old key is back: stale = %t, want both keys", f.Status().Stale)
		}
		f.rename("api.json", "["+made+"]")
		if f.look(settleTime); f.Status().Stale || f.Snapshot().Key("Web") != nil {
			f.Errorf("the old key is deleted after all: stale = %t, want it gone", f.Status().Stale)
		}
	})
}

// TestFlowiseReset: an explicit reload applies what looks like an accident.
func TestFlowiseReset(t *testing.T) {
	inBubble(t, keysFile("a"), dashboardKeys, func(f *bubble) {
		f.put("api.json", freshKeys)
		f.look(settleTime)
		if f.look(1); !f.Status().Stale || !strings.Contains(f.Status().Err.Error(), "made a fresh DefaultKey") || f.Snapshot().Key("Web") == nil {
			f.Fatalf("Status().Err = %v, key of Flowise there: %t, want the fault and the key", f.Status().Err, f.Snapshot().Key("Web") != nil)
		}
		if r := f.Reload(); r.Result != Loaded || f.Snapshot().Key("Web") != nil || f.Snapshot().Key("DefaultKey") == nil {
			f.Errorf("Reload = %s %v, want the fresh key instead of the old one", r.Result, r.Err)
		}
	})
}
