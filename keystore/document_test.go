package keystore

import (
	"fmt"
	"strings"
	"testing"
)

// part is a key file of a directory, with these keys, each a letter from a to f, and these chatflows, each followed by
// its keys.
func part(keys string, chatflows ...string) string {
	var b strings.Builder
	b.WriteString("version: 1\n")
	if keys != "" {
		b.WriteString("keys:\n")
	}
	for id := range strings.FieldsSeq(keys) {
		fmt.Fprintf(&b, "  - {id: %s, sha256: %s}\n", id, strings.Repeat(id, 64/len(id)))
	}
	if len(chatflows) > 0 {
		b.WriteString("chatflows:\n")
	}
	for _, c := range chatflows {
		id, keys, _ := strings.Cut(c, " ")
		fmt.Fprintf(&b, "  - {id: %s, keys: [%s]}\n", id, strings.Join(strings.Fields(keys), ", "))
	}
	return b.String()
}

// changed is a source that changed later than those with a lower number.
func changed(path string, change uint64, content string) source {
	return source{path: path, content: section([]byte(content)), change: change}
}

// parsed says in one line what sources mean together, or what is wrong with them.
func parsed(sources []source, active *Snapshot) string {
	s, err := parse("dir", sources, parseOptions{directory: true, active: active})
	if err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return summary(s)
}

// summary says in one line what a snapshot means: chatflows and the keys that open them, then the other keys.
func summary(s *Snapshot) string {
	var words []string
	listed := map[*Key]bool{}
	for _, c := range s.chatflows {
		word := c.ID + ":"
		for _, k := range c.keys {
			word += k.ID
			listed[k] = true
		}
		words = append(words, word)
	}
	for _, k := range s.keys {
		if !listed[k] {
			words = append(words, k.ID)
		}
	}
	return strings.Join(words, " ")
}

// TestParseSeveral parses the files of a directory together.
func TestParseSeveral(t *testing.T) {
	active, err := parse("dir", []source{changed("a", 1, part("a b")), changed("b", 1, part("c", "x a c"))}, parseOptions{directory: true})
	if err != nil {
		t.Fatal(err)
	}
	stands := func(s source) source { s.change, s.standsIn = 0, true; return s }
	for _, test := range []struct {
		name    string
		sources []source
		want    string
	}{
		{"keys of each other", []source{changed("a", 1, part("a", "y c")), changed("b", 1, part("c", "x a c"))}, "y:c x:ac"},
		{"keys alone", []source{changed("a", 1, part("a b")), changed("b", 1, part("", "x a"))}, "x:a b"},
		{"no chatflow at all", []source{changed("a", 1, part("a b"))}, "dir: no chatflow is listed, so nothing could be let through; list one under `chatflows:`, be it for a disabled key"},
		{"nothing in one", []source{changed("a", 1, "version: 1\nkeys: []\n"), changed("b", 1, part("c", "x c"))}, "a:1: neither a key nor a chatflow is listed; to take away all that a file lists, remove the file, or disable its keys"},
		{"faults of both", []source{changed("a", 1, "version: 2\n"), changed("b", 1, "version: 3\n")}, "a:1: version \"2\" is not known; this gate reads `version: 1`; b:1: version \"3\" is not known; this gate reads `version: 1`"},

		{"a key ID twice", []source{changed("a", 1, part("a")), changed("b", 2, part("a", "x a"))}, "b:3: key ID \"a\" is used twice, first in a:3; several secrets of one key go under `secrets:`"},
		{"the other changed last", []source{changed("a", 2, part("a")), changed("b", 1, part("a", "x a"))}, "a:3: key ID \"a\" is used twice, first in b:3; several secrets of one key go under `secrets:`"},
		{"only the first has changed", []source{changed("a", 2, part("a", "x a")), changed("b", 0, part("c", "x c"))}, `a:5: chatflow "x" is listed twice, first in b:5; one entry lists all its keys`},
		{"every chatflow twice", []source{changed("a", 1, part("a", `"*" a`)), changed("b", 1, part("c", `"*" c`))}, `b:5: chatflow "*" is listed twice, first in a:5; one entry lists all its keys`},
		{
			"a secret twice",
			[]source{changed("a", 2, part("a", "x a")), changed("b", 1, strings.Replace(part("c"), strings.Repeat("c", 64), strings.Repeat("a", 64), 1))},
			`a:3: key "a" has the same secret as key "c" in b:3; a secret belongs to one key`,
		},
		{"Flowise's file twice", []source{changed("a", 1, part("a", "x a")+"flowise_api_keys: f\n"), changed("b", 2, part("c")+"flowise_api_keys: f\n")}, "b:4: flowise_api_keys: two key files name Flowise's file, first in a:6; one of them is enough"},

		{"a key that no file has", []source{changed("a", 1, part("a", "x f"))}, "a:5: chatflow \"x\" lists key \"f\", which no key file has under `keys:`"},
		{"a key is gone from another file", []source{changed("a", 1, part("b")), changed("b", 0, part("c", "x a c"))}, "a: key \"a\" is gone, and chatflow \"x\" in b:5 still lists it; remove it there first, or revoke the key by `disabled: true`"},
		{"a file is gone", []source{changed("b", 0, part("c", "x a c"))}, "a: key \"a\" is gone, and chatflow \"x\" in b:5 still lists it; remove it there first, or revoke the key by `disabled: true`"},
		{"a key is gone, and the file that lists it has changed", []source{changed("a", 1, part("b")), changed("b", 1, part("c", "x a c"))}, "b:5: chatflow \"x\" lists key \"a\", which no key file has under `keys:`"},
		{"a key is gone, and the file that lists it has a fault", []source{changed("a", 1, part("b")), stands(changed("b", 1, part("c", "x a c")))}, "x:c b"},
		{"a key has moved", []source{changed("a", 1, part("b")), changed("b", 1, part("a c", "x a c"))}, "x:ac b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parsed(test.sources, active); got != test.want {
				t.Errorf("parse =\n%s, want\n%s", got, test.want)
			}
		})
	}
}
