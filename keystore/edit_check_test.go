package keystore_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowlatch/flowlatch/keystore"
)

// checkAdded checks that after is before with the key k added, in meaning and line by line.
func checkAdded(t *testing.T, before, after []byte, k keystore.NewKey) {
	t.Helper()
	want := viewIfAny(before)
	want.Keys = append(want.Keys, keyView{
		ID: k.ID, NotBefore: stamp(k.NotBefore), NotAfter: stamp(k.NotAfter), Secrets: []secretView{{Digest: k.Digest.String()}},
	})
	for _, id := range slices.Compact(slices.Sorted(slices.Values(k.Chatflows))) {
		i := slices.IndexFunc(want.Chatflows, func(c chatflowView) bool { return c.ID == id })
		if i < 0 {
			i = len(want.Chatflows)
			want.Chatflows = append(want.Chatflows, chatflowView{ID: id})
		}
		want.Chatflows[i].Keys = slices.Sorted(slices.Values(append(want.Chatflows[i].Keys, k.ID)))
	}
	checkEdited(t, want, before, after)
}

// checkDisabled checks that after is before with the key id disabled, in meaning and line by line.
func checkDisabled(t *testing.T, before, after []byte, id string) {
	t.Helper()
	want := viewIfAny(before)
	for i := range want.Keys {
		if want.Keys[i].ID == id {
			want.Keys[i].Disabled = true
		}
	}
	checkEdited(t, want, before, after)
}

// viewIfAny returns the view of a file before it is edited. It need not be there, nor list a chatflow.
func viewIfAny(data []byte) view {
	s, err := keystore.ParseBegun("keys.yaml", data)
	if err != nil {
		s = &keystore.Snapshot{}
	}
	return viewOf(s)
}

func checkEdited(t *testing.T, want view, before, after []byte) {
	t.Helper()
	s, err := keystore.Parse("keys.yaml", after)
	if err != nil {
		t.Fatalf("what came out is not valid: %v\n%s", err, after)
	}
	if diff := cmp.Diff(want, viewOf(s), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s\nof\n%s\nfrom\n%s", diff, after, before)
	}
	if line, ok := kept(string(before), string(after)); !ok {
		t.Errorf("line %q is lost in\n%s\nfrom\n%s", line, after, before)
	}
}

var emptyList = regexp.MustCompile(`^([^#]*?)[ \t]*\[[ \t]*\](.*)$`)

// kept reports whether every line of before stands in after, in the same order. A line may have
// grown, lost the brackets of an empty list, or been turned from false to true. If not, it returns
// the first that is lost.
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
