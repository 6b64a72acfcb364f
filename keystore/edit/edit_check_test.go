package edit_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// meaning is what a key file says about its keys and chatflows, in the order of the file.
type meaning struct{ keys, chatflows []entry }

type entry struct{ id, says string } // for a chatflow, says ends with its keys

func meaningOf(s *keystore.Snapshot) (m meaning) {
	for _, k := range s.Keys() {
		says := describeKey(k.Disabled, k.NotBefore(), k.OwnNotAfter())
		if k.Owner != "" || k.Honey || !k.Limits.Empty() {
			says += fmt.Sprintf("; owner %q, honey %t, limits %v", k.Owner, k.Honey, k.Limits)
		}
		for _, s := range k.Secrets() {
			says += describeSecret(s.Digest, s.NotBefore(), s.NotAfter())
		}
		m.keys = append(m.keys, entry{k.ID, says})
	}
	for _, c := range s.Chatflows() {
		says := fmt.Sprintf("name %q, public %t, upstream %q, body %v, keys", c.Name, c.Public, c.UpstreamAuthorization, c.Body)
		for _, k := range c.Keys() {
			says += " " + k.ID
		}
		m.chatflows = append(m.chatflows, entry{c.ID, says})
	}
	return m
}

func describeKey(disabled bool, notBefore, notAfter time.Time) string {
	return fmt.Sprintf("disabled %t from %v until %v", disabled, notBefore.UTC(), notAfter.UTC())
}

func describeSecret(d keystore.Digest, notBefore, notAfter time.Time) string {
	return fmt.Sprintf("; %v from %v until %v", d, notBefore.UTC(), notAfter.UTC())
}

// checkAdded checks that after is before with the key k added, in meaning and line by line.
func checkAdded(t *testing.T, before, after []byte, k edit.NewKey) {
	t.Helper()
	want := meaningOfDraft(before)
	want.keys = append(want.keys, entry{k.ID, describeKey(false, k.NotBefore, k.NotAfter) + describeSecret(k.Digest, time.Time{}, time.Time{})})
	for _, id := range slices.Compact(slices.Sorted(slices.Values(k.Chatflows))) {
		i := slices.IndexFunc(want.chatflows, func(e entry) bool { return e.id == id })
		if i < 0 {
			i = len(want.chatflows)
			want.chatflows = append(want.chatflows, entry{id, `name "", public false, upstream "", body {false []}, keys`})
		}
		e := &want.chatflows[i]
		at := strings.LastIndex(e.says, ", keys") + len(", keys")
		ids := append(strings.Fields(e.says[at:]), k.ID)
		slices.Sort(ids)
		e.says = e.says[:at] + " " + strings.Join(ids, " ")
	}
	checkEdited(t, want, before, after)
}

// checkDisabled checks that after is before with the key id disabled, in meaning and line by line.
func checkDisabled(t *testing.T, before, after []byte, id string) {
	t.Helper()
	want := meaningOfDraft(before)
	for i := range want.keys {
		if want.keys[i].id == id {
			want.keys[i].says = strings.Replace(want.keys[i].says, "disabled false", "disabled true", 1)
		}
	}
	checkEdited(t, want, before, after)
}

// meaningOfDraft is the meaning of a file before it is edited. It need not exist, nor list a chatflow.
func meaningOfDraft(data []byte) meaning {
	s, err := keystore.ParseDraft(fileOf(data), data)
	if err != nil {
		s = &keystore.Snapshot{}
	}
	return meaningOf(s)
}

func checkEdited(t *testing.T, want meaning, before, after []byte) {
	t.Helper()
	checkMeaning(t, want, before, after)
	if line, ok := kept(string(before), string(after)); !ok {
		t.Errorf("line %q is lost in\n%s\nfrom\n%s", line, after, before)
	}
}

func checkMeaning(t *testing.T, want meaning, before, after []byte) {
	t.Helper()
	if isJSON(before) && !isJSON(after) {
		t.Errorf("JSON became\n%s\nfrom\n%s", after, before)
	}
	s, err := keystore.ParseDraft(fileOf(after), after)
	if err != nil {
		t.Fatalf("what came out is not valid: %v\n%s", err, after)
	}
	if diff := cmp.Diff(want, meaningOf(s), cmp.AllowUnexported(meaning{}, entry{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("meaning (-want +got):\n%s\nof\n%s\nfrom\n%s", diff, after, before)
	}
}

func isJSON(data []byte) bool { return jsontext.Value(data).IsValid() }

// fileOf is a name for a key file with data in it.
func fileOf(data []byte) string {
	if isJSON(data) {
		return "keys.json"
	}
	return "keys.yaml"
}

var emptyList = regexp.MustCompile(`^([^#]*?)[ \t]*\[[ \t]*\](.*)$`)

// kept reports whether every line of before is in after, in the same order. A line may have grown, lost the brackets of
// an empty list, or been turned from false to true. If a line is missing, kept returns the first one.
func kept(before, after string) (lost string, ok bool) {
	left := slices.Collect(strings.Lines(after))
	for line := range strings.Lines(before) {
		line = strings.TrimRight(line, "\r\n")
		i := slices.IndexFunc(left, func(l string) bool {
			l = strings.TrimRight(l, "\r\n")
			return l == line || strings.TrimSpace(line) != "" && (within(line, l) ||
				l == emptyList.ReplaceAllString(line, "$1$2") || within(strings.Replace(line, "false", "", 1), l))
		})
		if i < 0 {
			return line, false
		}
		left = left[i+1:]
	}
	return "", true
}

// within reports whether the characters of s stand in l in the same order.
func within(s, l string) bool {
	for _, c := range s {
		i := strings.IndexRune(l, c)
		if i < 0 {
			return false
		}
		l = l[i+len(string(c)):]
	}
	return true
}
