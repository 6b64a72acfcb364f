package console_test

import (
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestWhoMayNow: pages distinguish keys that are listed from keys that can be used now, and offer nothing that would
// have no effect.
func TestWhoMayNow(t *testing.T) {
	t.Parallel()
	key := func(id, more string) string {
		return "  - {id: " + id + ", sha256: " + keystore.DigestOf(id).String() + more + "}\n"
	}
	g := newGate(t, "version: 1\nkeys:\n"+key("web", "")+key("off", ", disabled: true")+key("old", ", not_after: 2020-01-01T00:00:00Z")+key("ops", "")+key("trap", ", honey: true")+
		"  - {id: spent, secrets: [{sha256: "+keystore.DigestOf("spent").String()+", not_after: 2020-01-01T00:00:00Z}]}\n"+
		"chatflows:\n  - {id: "+botA+", name: support, keys: [web, off, old, spent]}\n  - {id: "+botB+", keys: [ops]}\n  - {id: \"*\", keys: [ops]}\n")
	b := g.browser(t)
	for page, want := range map[string][]string{
		"":                    {`<bdi>off</bdi> <span class="muted">(disabled)</span>`, `<bdi>old</bdi> <span class="muted">(expired)</span>`, `<span class="muted">nothing</span>`},
		"chatflow?id=" + botA: {`<bdi>off</bdi></a> <span class="warn">(disabled)</span>`, `<bdi>old</bdi></a> <span class="warn">(expired)</span>`, "its keys, and those for every chatflow", `<a href="key?id=ops">`},
		"chatflow?id=*":       {"<h1>Every chatflow</h1>", "also those made tomorrow"},
		"key?id=ops":          {"As long as that is so, withdrawing another chatflow takes nothing away", "Its open responses may finish"},
		"key?id=old":          {"The key itself has expired"},
		"key?id=spent":        {"Make a new secret"}, // which helps, since the key itself has not expired
	} {
		wantIn(t, "page "+page, b.get(t, page, 200), want...)
	}
	for page, never := range map[string][]string{
		"chatflow?id=*": {"Keys for"}, "key?id=web": {"takes nothing away"}, "key?id=old": {"Make a new secret"}, "key?id=trap": {"Grant", "Make a new secret"},
		"chatflow?id=" + botA: {`<bdi>web</bdi></a> <span class="warn">`},
	} {
		html := b.get(t, page, 200)
		for _, text := range never {
			if strings.Contains(html, text) {
				t.Errorf("page %s has %q:\n%s", page, text, html)
			}
		}
	}
	// What is offered works, and what is not offered would be refused.
	b.submit(t, "key?id=spent", "key", "id=spent", "action=rotate", "overlap=24h")
	if status, p := g.api(t, "POST", "/api/keys/old/rotate", "*", ""); status != 422 || !strings.Contains(p["detail"].(string), "raise its not_after in the key file first") {
		t.Errorf("rotating a key that has expired = %d %v, want 422", status, p)
	}
	if status, p := g.api(t, "POST", "/api/keys/trap/grant", "*", `{"chatflows": ["support"]}`); status != 422 {
		t.Errorf("granting a honey key = %d %v, want 422", status, p)
	}
}
