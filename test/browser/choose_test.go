package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// firstRow returns the title of the first row of a table.
func firstRow(table string) string {
	return fmt.Sprintf("#%s tbody tr:first-child th", table)
}

func header(table, text string) string {
	return fmt.Sprintf("[...document.querySelectorAll('#%s thead button')].find((b) => b.textContent === %q)", table, text)
}

// TestAddress: filter and orders are in the address, so that it can be passed on and survives a reload.
func TestAddress(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/?filter=p&keys_by=-id", wide)
	b.shows(t, "#keys-note", "2 of 6 keys match the filter")
	b.shows(t, firstRow("keys"), "ops") // and after it old-partner
	if got := eval[string](t, b, "document.querySelector('#filter').value"); got != "p" {
		t.Errorf("filter = %q, want the one in the address", got)
	}
	typed(t, b, "acme web&")
	b.shows(t, "#keys-note", "0 of 6 keys match the filter")
	if got := eval[string](t, b, "location.search"); got != "?filter=acme+web%26&keys_by=-id" {
		t.Errorf("query of the address = %q, want the filter and the order", got)
	}
	b.do(t, chromedp.Reload())
	b.shows(t, "#keys-note", "0 of 6 keys match the filter")
	typed(t, b, "acme")
	b.shows(t, firstRow("keys"), "acme-web")
	b.quiet(t)
	b.do(t, chromedp.Navigate(g.Admin+"/?keys_by=nonsense"))
	b.shows(t, "#connection", "The gate does not understand the address of this page", "keys_by", "want one of expiry, file, id, last_refused, last_used")
}

// TestSort orders tables by their headers, with the mouse and with the keyboard.
func TestSort(t *testing.T) {
	g := start(t, keyFile)
	for range 3 {
		g.ask(t, predict+docs, "", "Hello?", 200)
	}
	g.ask(t, predict+support, webSecret, "Hello?", 200)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, row("chatflows", "docs-search"), "\n3\n")
	sorted := func(table, text string) string {
		return eval[string](t, b, header(table, text)+".parentNode.getAttribute('aria-sort') ?? ''")
	}
	if got := sorted("keys", "Last used"); got != "descending" {
		t.Errorf("aria-sort of the usual order = %q, want descending", got)
	}
	click := func(table, text string) { eval[bool](t, b, header(table, text)+".click(); true") }
	click("chatflows", "Requests")
	b.shows(t, firstRow("chatflows"), "docs-search")
	if got := sorted("chatflows", "Requests") + sorted("chatflows", "Last request"); got != "descending" {
		t.Errorf("aria-sort = %q, want descending on one header", got)
	}
	click("chatflows", "Requests")
	b.shows(t, firstRow("chatflows"), internal)
	if got := sorted("chatflows", "Requests"); got != "ascending" {
		t.Errorf("aria-sort of a reversed order = %q, want ascending", got)
	}
	eval[bool](t, b, header("keys", "Key")+".focus(); true")
	b.do(t, chromedp.KeyEvent("\r"))
	b.shows(t, firstRow("keys"), "acme-web")
	b.do(t, chromedp.KeyEvent(" "))
	b.shows(t, firstRow("keys"), "trial")
	if got := eval[string](t, b, "location.search"); got != "?chatflows_by=-requests&keys_by=-id" {
		t.Errorf("query of the address = %q, want both orders", got)
	}
	if !eval[bool](t, b, "document.activeElement.textContent === 'Key'") {
		t.Error("the header lost the focus, want it to stay where the keyboard is")
	}
	b.appear(t, narrow) // where the headers are a line of buttons
	if !eval[bool](t, b, header("keys", "Expires")+".checkVisibility({visibilityProperty: true})") {
		t.Error("the headers are hidden in a narrow window, want them to sort there, too")
	}
	click("keys", "Expires")
	b.shows(t, firstRow("keys"), "acme-web")
	b.quiet(t)
}

// TestLookUp finds a refusal by the request ID that a client got.
func TestLookUp(t *testing.T) {
	g := start(t, keyFile)
	for range 30 {
		g.ask(t, "/api/v1/chatflows", "", "", 404)
	}
	id := g.refused(t, predict+support, "statuspage-test-secret-old")
	for range 30 {
		g.ask(t, "/api/v1/chatflows", "", "", 404)
	}
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#refusals", "not_exposed")
	if n := eval[int](t, b, "document.querySelectorAll('#refusals tbody tr').length"); n != 20 {
		t.Errorf("refusals that are shown = %d, want the last 20", n)
	}
	typed(t, b, id)
	b.shows(t, "#refusals", "old-partner", "key has expired", id)
	if n := eval[int](t, b, "document.querySelectorAll('#refusals tbody tr').length"); n != 1 {
		t.Errorf("refusals with the ID = %d, want 1", n)
	}
	b.quiet(t)
}

// TestCopy copies an ID, or selects it where the browser does not let pages copy.
func TestCopy(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, row("chatflows", "support-bot"), support)
	button := fmt.Sprintf("document.querySelector(%q)", row("chatflows", "support-bot")+" .copy")
	eval[bool](t, b, "navigator.clipboard.writeText = async (text) => { window.copied = text }; "+button+".click(); true")
	b.shows(t, row("chatflows", "support-bot")+" .copy", "Copied")
	if got := eval[string](t, b, "window.copied"); got != support {
		t.Errorf("copied %q, want %q", got, support)
	}
	eval[bool](t, b, "navigator.clipboard.writeText = () => Promise.reject(new Error('no')); "+button+".click(); true")
	b.shows(t, row("chatflows", "support-bot")+" .copy", "Press Ctrl+C")
	if got := eval[string](t, b, "getSelection().toString()"); got != support {
		t.Errorf("selected %q, want %q", got, support)
	}
	if label := eval[string](t, b, button+".getAttribute('aria-label')"); !strings.Contains(label, support) {
		t.Errorf("label of the button = %q, want which ID it copies", label)
	}
	b.quiet(t)
}
