package edit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// layouts writes key files in all the ways that an edit must be able to deal with.
type layouts struct{ *rand.Rand }

func (r layouts) one(of ...string) string { return of[r.IntN(len(of))] }

func (r layouts) comment() string { return r.one("", "", " # a", "   # [b, c]: \"d' {", " # é") }

func (r layouts) word(s string) string { return r.one(s, s, `"`+s+`"`, "'"+s+"'") }

// list writes words as the value of a field that stands at indent.
func (r layouts) list(words []string, indent string) string {
	for i := range words {
		words[i] = r.word(words[i])
	}
	switch r.IntN(3) {
	case 0:
		return " [" + strings.Join(words, r.one(", ", ",", " ,  ")) + r.one("", ",", " ") + "]" + r.comment()
	case 1:
		return " [" + strings.Join(words, ",\n"+indent+"    ") + "]" + r.comment()
	}
	var b strings.Builder
	dash := "\n" + indent + r.one("", "  ", "      ") + "-" + r.one(" ", "   ")
	for _, w := range words {
		b.WriteString(r.one("", "", "\n", "\n"+indent+"# between") + dash + w + r.comment())
	}
	return r.comment() + b.String()
}

// entry writes one item of a list. The values of the fields must be plain, save that of "keys".
func (r layouts) entry(indent string, fields [][2]string, keys []string) string {
	r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	if r.IntN(4) == 0 {
		var parts []string
		for _, f := range fields {
			parts = append(parts, f[0]+": "+f[1])
		}
		if keys != nil {
			parts = append(parts, "keys: ["+strings.Join(keys, ", ")+"]")
			slices.Reverse(parts[len(parts)-r.IntN(2)-1:])
		}
		return indent + "- {" + strings.Join(parts, ", ") + "}" + r.comment() + "\n"
	}
	width := r.one(" ", "  ", "    ")
	inner := indent + " " + width
	var lines []string
	for _, f := range fields {
		lines = append(lines, f[0]+":"+r.one(" ", "   ")+f[1]+r.comment())
	}
	if keys != nil {
		lines = slices.Insert(lines, r.IntN(len(lines)+1), "keys:"+r.list(slices.Clone(keys), inner))
	}
	return indent + "-" + width + strings.Join(lines, "\n"+r.one("", "", inner+"# between\n", "\n")+inner) + "\n"
}

// file returns a key file and the IDs of its chatflows.
func (r layouts) file() (data string, chatflows []string) {
	var names []string
	indent := r.one("", "  ", "     ")
	keys := "keys:" + r.comment() + "\n"
	for i := range r.IntN(4) {
		name := fmt.Sprintf("k%d", i)
		names = append(names, name)
		fields := [][2]string{{"id", r.word(name)}, {"sha256", r.word(digest(name))}}
		if r.IntN(3) == 0 {
			fields = append(fields, [2]string{"not_after", "2027-01-01T00:00:00Z"})
		}
		keys += r.entry(indent, fields, nil) + r.one("", "", "\n", indent+"# between\n")
	}
	if len(names) == 0 {
		keys = r.one("", "keys: []"+r.comment()+"\n", "keys:   [ ]\n")
	}
	indent = r.one("", "  ", "     ")
	list := "chatflows:" + r.comment() + "\n"
	for i := range 1 + r.IntN(4) {
		id := r.one("c", "m", "x") + fmt.Sprint(i)
		chatflows = append(chatflows, id)
		fields := [][2]string{{"id", r.word(id)}}
		if r.IntN(2) == 0 {
			fields = append(fields, [2]string{"name", r.one("été", `"a: b # c"`, "'it''s'", "plain words")})
		}
		var some []string
		if len(names) > 0 && r.IntN(3) > 0 {
			some = names[:1+r.IntN(len(names))]
		} else {
			fields = append(fields, [2]string{"public", "true"})
		}
		list += r.entry(indent, fields, some) + r.one("", "", "\n", indent+"# between\n")
	}
	sections := []string{"version: 1" + r.comment() + "\n", keys, list}
	r.Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
	data = r.one("", "", "---\n", "# Keys.\n\n") + strings.Join(sections, r.one("", "\n", "# next\n"))
	if r.IntN(4) == 0 {
		data = strings.TrimRight(data, "\n")
	}
	if r.IntN(8) == 0 {
		data = strings.ReplaceAll(data, "\n", "\r\n")
	}
	return data, chatflows
}

// layoutsTried is how many layouts are tried.
func layoutsTried() uint64 {
	if testkit.Long() {
		return 200
	}
	return 60
}

// If the command refuses an edit, somebody has to do it by hand. It must not refuse one in a layout that people use.
func TestEditLayouts(t *testing.T) {
	for seed := range layoutsTried() {
		r := layouts{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // the same files at every run
		data, chatflows := r.file()
		before := mustParse(t, data)
		k := edit.NewKey{ID: "ops", Digest: keystore.DigestOf(secret("new")), Chatflows: []string{r.one("a-new", "n-new", "z-new", keystore.EveryChatflow)}}
		for _, id := range chatflows {
			if r.IntN(2) == 0 {
				k.Chatflows = append(k.Chatflows, id)
			}
		}
		k.Chatflows = k.Chatflows[r.IntN(2):]
		after, err := edit.AddKey("keys.yaml", []byte(data), k)
		if err != nil {
			t.Fatalf("seed %d: AddKey to %q = %v, of\n%s", seed, k.Chatflows, err, data)
		}
		checkAdded(t, []byte(data), after, k)
		for _, key := range before.Keys() {
			off, err := edit.DisableKey("keys.yaml", after, key.ID)
			if err != nil {
				t.Fatalf("seed %d: DisableKey(%q) = %v, of\n%s", seed, key.ID, err, after)
			}
			checkDisabled(t, after, off, key.ID)
		}
		for name, e := range edits {
			if name == "enable" || name == "withdraw" { // these need a disabled key, or a chatflow with another key
				continue
			}
			for _, key := range before.Keys() {
				some := slices.DeleteFunc(slices.Clone(chatflows), func(id string) bool { return name == "close" && !before.Entry(id).Lists(key) })
				next, err := e.edit("keys.yaml", after, key.ID, some)
				if err != nil {
					t.Fatalf("seed %d: %s of %q and %q = %v, of\n%s", seed, name, key.ID, some, err, after)
				}
				e.check(t, after, next, key.ID, some)
			}
		}
		if t.Failed() {
			t.Fatalf("at seed %d", seed)
		}
	}
}
