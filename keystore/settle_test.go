package keystore_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestWrittenInTwoHalves writes a file in place with a pause of a second in the middle, at which it is
// valid and lacks keys. No key may be lost on the way, and what was taken out must be gone at the end.
func TestWrittenInTwoHalves(t *testing.T) {
	path := t.TempDir() + "/keys.yaml"
	head := "version: 1\nchatflows:\n- {id: x, keys: [a]}\n"
	rest := "- {id: y, keys: [b]}\n- {id: z, keys: [a, b]}\n"
	keys := "keys:\n- {id: a, sha256: " + digest("a") + "}\n- {id: b, sha256: " + digest("b") + "}\n"
	whole := strings.Replace(head, "chatflows", keys+"chatflows", 1)
	writeFile(t, path, whole+rest)
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	complete := func() bool {
		for _, id := range []string{"x", "y", "z"} {
			if c, _ := s.Snapshot().Chatflow(id); c == nil {
				return false
			}
		}
		return true
	}
	writeFile(t, path, whole) // valid, and without two chatflows
	for pause := time.Now().Add(time.Second); time.Now().Before(pause); {
		if !complete() {
			t.Fatal("a chatflow was lost while the file was being written")
		}
		time.Sleep(5 * time.Millisecond) // between two looks: the pause itself is what is tested
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Replace(rest, "z,", "new,", 1)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	begin := time.Now()
	eventually(t, "the whole file being in force", func() bool {
		c, _ := s.Snapshot().Chatflow("new")
		gone, _ := s.Snapshot().Chatflow("z")
		return c != nil && gone == nil
	})
	t.Logf("seen %v after the last byte", time.Since(begin).Round(time.Millisecond))
	if s.Status().Stale {
		t.Error("the store is stale after a good file")
	}
}

// TestPutInPlaceIsBelieved replaces the file as a whole: what is gone is gone at once.
func TestPutInPlaceIsBelieved(t *testing.T) {
	s, path := open(t, keyFile("a", "b"), keystore.Options{Poll: 100 * time.Millisecond})
	run(t, s)
	begin := time.Now()
	replaceFile(t, path, keyFile("a"))
	eventually(t, "the key being gone", func() bool { return s.Snapshot().Key("b") == nil })
	if took := time.Since(begin); took > 1400*time.Millisecond {
		t.Errorf("a file put in the place of another was believed after %v, as late as one that is being written", took)
	}
}

// TestLimitIsNotLostHalfway writes a file in place that for a second lacks the last line, which limits what
// callers may send. It must not be believed before it has rested.
func TestLimitIsNotLostHalfway(t *testing.T) {
	path := t.TempDir() + "/keys.yaml"
	open := "version: 1\nchatflows:\n- id: x\n  public: true\n"
	limited := open + "  body: {deny: [uploads]}\n"
	writeFile(t, path, limited)
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	denied := func() int { c, _ := s.Snapshot().Chatflow("x"); return len(c.Body.Deny) }
	writeFile(t, path, open)
	for pause := time.Now().Add(time.Second); time.Now().Before(pause); {
		if denied() != 1 {
			t.Fatal("the limit was lost while the file was being written")
		}
		time.Sleep(5 * time.Millisecond) // between two looks: the pause itself is what is tested
	}
	eventually(t, "the file that rests being in force", func() bool { return denied() == 0 })
	writeFile(t, path, limited) // takes nothing away
	eventually(t, "the limit being back", func() bool { return denied() == 1 })
}
