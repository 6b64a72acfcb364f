package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// found is a key file in the table of TestChoose.
type found struct {
	active  string // its active content; empty if there is none
	now     string // its content now: "gone", or empty if that is the active content
	change  uint64 // number of the look that found it
	held    bool   // it may be half written, or has just gone
	refused bool   // a fault in it was reported before
}

const gone = "gone"

// choose decides about files and returns the outcome in one line: what the snapshot means, and which files wait or have a
// fault.
func choose(t *testing.T, files map[string]found, explicit bool) string {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var list []*keyFile
	var sources []source
	for _, path := range slices.Sorted(maps.Keys(files)) {
		k := files[path].keyFile(path, at)
		list = append(list, k)
		if k.active != nil {
			sources = append(sources, source{path: path, content: k.active})
		}
	}
	active, err := parse("dir", sources, parseOptions{directory: true})
	if err != nil {
		t.Fatal(err)
	}
	c := choice{list: list, active: active, at: at, explicit: explicit}
	c.meaning = func() (*Snapshot, error) {
		var sources []source
		for _, k := range list {
			if s, ok := k.source(); ok {
				sources = append(sources, s)
			}
		}
		return parse("dir", sources, parseOptions{directory: true, active: active})
	}
	c.validate = func(s *Snapshot) error {
		if k := s.Key("f"); k != nil {
			return strictyaml.Faults{{File: k.File(), Text: "key f is not valid"}}
		}
		return nil
	}
	next, err := c.choose()
	if err != nil {
		t.Fatal(err)
	}
	text := summary(next)
	for _, k := range list {
		if k.isNew && !k.use && k.verdict.retryIn == 0 { // nothing is left out that could be applied
			k.use = true
			if with, err := c.meaning(); err == nil && c.validate(with) == nil {
				t.Errorf("%s is left out: %v", k.path, k.verdict.err)
			}
			k.use = false
		}
		switch {
		case k.verdict.err != nil:
			text += fmt.Sprintf(" | %s: %s", k.path, strings.ReplaceAll(k.verdict.err.Error(), "\n", "; "))
		case k.verdict.retryIn > 0:
			text += " | " + k.path + " waits"
		case k.isNew && !k.use:
			text += " | " + k.path + " is left out without a word"
		}
	}
	return text
}

// keyFile returns the file as the choice sees it.
func (f found) keyFile(path string, at time.Time) *keyFile {
	k := &keyFile{File: watch.NewFile(path, 0), path: path, change: f.change, isNew: f.now != "", isGone: f.now == gone}
	if f.active != "" {
		k.active = section([]byte(f.active))
	}
	if f.now != "" && f.now != gone {
		k.found = section([]byte(f.now))
	}
	if f.held {
		k.settledAt = at.Add(settleTime)
	}
	if f.refused {
		k.previous.fault = errors.New("known")
	}
	return k
}

// TestChoose changes several files at once, and checks which of them are applied and which have a fault.
func TestChoose(t *testing.T) {
	const broken = "version: 2\n"
	const isBroken = "version \"2\" is not known; this gate reads `version: 1`"
	revokes := func(change uint64) found { // takes b away from keys a and b
		return found{active: part("a b", "x a b"), now: part("a", "x a"), change: change}
	}
	c := found{active: part("c", "y c")}
	becomes := func(f found, now string, change uint64) found { f.now, f.change = now, change; return f }
	held := func(f found) found { f.held = true; return f }
	refused := func(f found) found { f.refused = true; return f }
	for _, test := range []struct {
		name     string
		files    map[string]found
		explicit bool
		want     string
	}{
		{"nothing", map[string]found{"a": {active: part("a", "x a")}}, false, "x:a"},
		{"a change", map[string]found{"a": {active: part("a", "x a"), now: part("a b", "x a b")}}, false, "x:ab"},
		{"a new file", map[string]found{"a": revokes(1), "b": {now: part("c", "y c")}}, false, "x:a y:c"},
		{"back to what is active", map[string]found{"a": becomes(c, c.active, 2)}, false, "y:c"},

		{"another is broken", map[string]found{"a": revokes(1), "b": becomes(c, broken, 1)}, false, "x:a y:c | b: b:1: " + isBroken},
		{"another was broken", map[string]found{"a": revokes(2), "b": refused(becomes(c, broken, 1))}, false, "x:a y:c | b: b:1: " + isBroken},
		{"a new one is broken", map[string]found{"a": revokes(2), "b": {now: broken, change: 1}}, false, "x:a | b: b:1: " + isBroken},
		{"another makes no sense here", map[string]found{"a": revokes(1), "b": becomes(c, part("c f", "y c f"), 1)}, false, "x:a y:c | b: b: key f is not valid"},
		{"all are broken", map[string]found{"a": becomes(revokes(0), broken, 1), "b": becomes(c, broken, 1)}, false, "x:ab y:c | a: a:1: " + isBroken + " | b: b:1: " + isBroken},

		{"another takes its key, too", map[string]found{"a": revokes(1), "b": becomes(c, part("a c", "y c"), 1)}, false, "x:a y:c | b: b:3: key ID \"a\" is used twice, first in a:3; several secrets of one key go under `secrets:`"},
		{"another takes its key, at once", map[string]found{"b": revokes(1), "a": becomes(c, part("a c", "y c"), 1)}, false, "y:c x:a | a: a:3: key ID \"a\" is used twice, first in b:3; several secrets of one key go under `secrets:`"},
		{"another took its key before", map[string]found{"b": revokes(2), "a": refused(becomes(c, part("a c", "y c"), 1))}, false, "y:c x:a | a: a:3: key ID \"a\" is used twice, first in b:3; several secrets of one key go under `secrets:`"},
		{"both take a chatflow, one later", map[string]found{"a": revokes(1), "b": becomes(c, part("c", "y c", "z c"), 3), "c": {active: part("d", "w d"), now: part("d", "w d", "z d"), change: 2}}, false, `x:a y:c w:d z:d | b: b:6: chatflow "z" is listed twice, first in c:6; one entry lists all its keys`},
		{"a key moves", map[string]found{"a": revokes(1), "b": becomes(c, part("b c", "y b c"), 1)}, false, "x:a y:bc"},
		{"a key moves beside a broken file", map[string]found{"a": revokes(1), "b": becomes(c, part("b c", "y b c"), 1), "c": {now: broken}}, false, "x:a y:bc | c: c:1: " + isBroken},
		{"a key that was taken is given up", map[string]found{"a": revokes(2), "b": refused(becomes(c, part("b c", "y b c"), 1))}, false, "x:a y:bc"},

		{"a key that another lists", map[string]found{"a": revokes(1), "b": {active: part("c", "y b c")}}, false, "x:ab y:bc | a: a: key \"b\" is gone, and chatflow \"y\" in b:5 still lists it; remove it there first, or revoke the key by `disabled: true`"},
		{"a key that a broken one lists", map[string]found{"a": revokes(2), "b": refused(found{active: part("c", "y b c"), now: broken, change: 1})}, false, "x:a y:c | b: b:1: " + isBroken},
		{"a key that another begins to list", map[string]found{"a": revokes(1), "b": becomes(c, part("c", "y b c"), 1)}, false, "x:a y:c | b: b:5: chatflow \"y\" lists key \"b\", which no key file has under `keys:`"},
		{"a key that is not listed any more", map[string]found{"a": revokes(1), "b": {active: part("c", "y b c"), now: c.active, change: 1}}, false, "x:a y:c"},
		{"a key that a broken one adds", map[string]found{"a": becomes(revokes(0), part("a b", "x a b d"), 1), "b": becomes(c, part("d", "y nobody"), 1)}, false, "x:ab y:c | a: a:6: chatflow \"x\" lists key \"d\", which no key file has under `keys:` | b: b:5: chatflow \"y\" lists key \"nobody\", which no key file has under `keys:`"},

		{"half written", map[string]found{"a": held(revokes(1)), "b": becomes(c, part("c d", "y c d"), 1)}, false, "x:ab y:cd | a waits"},
		{"half written, and it is asked for", map[string]found{"a": held(revokes(1))}, true, "x:a"},
		{"half written, nothing is missing", map[string]found{"a": held(becomes(revokes(0), part("a b d", "x a b d"), 1))}, false, "x:abd"},
		{"half written, with a fault", map[string]found{"a": held(becomes(revokes(0), broken, 1)), "b": becomes(c, part("d", "y d"), 1)}, false, "x:ab y:d | a waits"},
		{"half written, without a key that another lists", map[string]found{"a": held(revokes(1)), "b": {active: part("c", "y b c"), now: part("c d", "y b c d"), change: 1}}, false, "x:ab y:bcd | a waits"},

		{"gone just now", map[string]found{"a": held(becomes(revokes(0), gone, 1)), "b": becomes(c, part("c d", "y c d"), 1)}, false, "x:ab y:cd | a waits"},
		{"gone", map[string]found{"a": becomes(revokes(0), gone, 1), "b": c}, false, "y:c"},
		{"gone just now, and it is asked for", map[string]found{"a": held(becomes(revokes(0), gone, 1)), "b": c}, true, "y:c"},
		{"gone, and another lists its key", map[string]found{"a": becomes(revokes(0), gone, 1), "b": {active: part("c", "y b c")}}, false, "x:ab y:bc | a: a: key \"b\" is gone, and chatflow \"y\" in b:5 still lists it; remove it there first, or revoke the key by `disabled: true`"},
		{"gone, and all chatflows with it", map[string]found{"a": becomes(revokes(0), gone, 1), "b": {active: part("c")}}, false, "x:ab c | a: dir: no chatflow is listed, so nothing could be let through; list one under `chatflows:`, be it for a disabled key"},
		{"renamed", map[string]found{"a": held(becomes(revokes(0), gone, 1)), "b": {now: part("a b", "x a b"), change: 1}}, false, "x:ab"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := choose(t, test.files, test.explicit); got != test.want {
				t.Errorf("choose =\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// TestChooseAny changes files in any way. What is applied must be valid, and no file may be left out that could be
// applied.
func TestChooseAny(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
	some := func(of string) string {
		var chosen []string
		for item := range strings.FieldsSeq(of) {
			if random.IntN(3) == 0 {
				chosen = append(chosen, item)
			}
		}
		return strings.Join(chosen, " ")
	}
	content := func(ids string) string {
		var chatflows []string
		for id := range strings.FieldsSeq(some("x y z")) {
			chatflows = append(chatflows, id+" "+cmp.Or(some(ids), "a"))
		}
		return part(some(ids), chatflows...)
	}
	rounds := 200
	if testkit.Long() {
		rounds = 2_000
	}
	for range rounds {
		files := map[string]found{"z": {active: part("abcd", "w abcd")}} // so that something is active
		for _, path := range []string{"a", "b", "c", "d"} {
			file := found{active: content("a b c d e"), now: content("a b c d e f"), change: 1 + random.Uint64N(3), refused: random.IntN(3) == 0, held: random.IntN(5) == 0}
			if random.IntN(5) == 0 {
				file.now = gone
			}
			var sources []source
			for p, f := range files {
				if f.active != "" {
					sources = append(sources, source{path: p, content: section([]byte(f.active))})
				}
			}
			if _, err := parse("dir", append(sources, source{path: path, content: section([]byte(file.active))}), parseOptions{directory: true}); err != nil {
				file.active = "" // active content is always valid
			}
			if file.active == "" && file.now == gone {
				continue
			}
			files[path] = file
		}
		if choose(t, files, false); t.Failed() {
			t.Fatalf("%+v", files)
		}
	}
}
