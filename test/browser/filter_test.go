package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestFilter finds one of 10,000 keys and 1,000 chatflows, of which the page shows the first.
func TestFilter(t *testing.T) {
	g := start(t, manyKeys(10_000, 1000))
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#keys-note", "The first 100 of 10,000 keys")
	b.shows(t, "#chatflows-note", "The first 100 of 1,000 chatflows")
	if n := eval[int](t, b, "document.querySelectorAll('#keys tbody tr').length"); n != 100 {
		t.Errorf("rows of keys = %d, want 100", n)
	}
	const size = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/status?')).at(-1).decodedBodySize"
	if n := eval[int](t, b, size); n == 0 || n > 64<<10 {
		t.Errorf("size of a poll with 10,000 keys = %d, want at most 64 KiB", n)
	} else {
		t.Logf("size of a poll with 10,000 keys = %d", n)
	}
	b.picture(t, "many-wide")
	typed(t, b, "KEY-09876")
	b.shows(t, "#keys-note", "1 of 10,000 keys matches the filter")
	b.shows(t, row("keys", "key-09876"), "valid")
	b.shows(t, "#chatflows-note", "1 of 1,000 chatflows matches the filter")
	b.shows(t, row("chatflows", "bot-0876"), "key-09876")
	typed(t, b, "nothing-like-it")
	b.shows(t, "#keys", "No key ID matches the filter")
	b.shows(t, "#chatflows", "No chatflow matches the filter")
	typed(t, b, "bot-01")
	b.shows(t, "#chatflows-note", "100 of 1,000 chatflows match the filter")
	b.picture(t, "many-filtered")
	b.appear(t, narrow)
	noOverflow(t, b, "many")
	b.picture(t, "many-narrow")
	b.quiet(t)
}

// typed types a text into the filter, in place of what is there.
func typed(t *testing.T, b *browser, text string) {
	t.Helper()
	eval[bool](t, b, "document.querySelector('#filter').select(); true")
	b.do(t, chromedp.SendKeys(chromedp.CSS("#filter"), text))
	if got := eval[string](t, b, "document.querySelector('#filter').value"); got != text {
		t.Fatalf("the filter has %q, want %q", got, text)
	}
}

// manyKeys returns a key file in which chatflow i has every key whose number ends as i does.
func manyKeys(keys, chatflows int) string {
	var s strings.Builder
	s.WriteString("version: 1\nkeys:\n")
	for i := range keys {
		fmt.Fprintf(&s, "  - {id: key-%05d, sha256: %064x}\n", i, i+1)
	}
	s.WriteString("chatflows:\n")
	for i := range chatflows {
		fmt.Fprintf(&s, "  - {id: %08x-0000-4000-8000-000000000000, name: bot-%04d, keys: [", i, i)
		for k := i; k < keys; k += chatflows {
			fmt.Fprintf(&s, "key-%05d, ", k)
		}
		s.WriteString("]}\n")
	}
	return s.String()
}
