package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// noOverflow wants the page to be no wider than the window.
func noOverflow(t *testing.T, b *browser, name string) {
	t.Helper()
	if w := eval[[]int](t, b, "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"); w[0] > w[1] {
		t.Errorf("%s: the page is %d wide in a window of %d", name, w[0], w[1])
	}
}

// broken evaluates to the numbers of tables that are broken into lines.
const broken = `[...document.querySelectorAll('td.num')].filter((e) => {
  const range = document.createRange()
  range.selectNodeContents(e.firstElementChild ?? e)
  return new Set([...range.getClientRects()].map((r) => r.top)).size > 1
}).map((e) => e.textContent)`

// wrappedIDs evaluates to the IDs that take more than one line, or more room than they have.
const wrappedIDs = `[...document.querySelectorAll('.id bdi')].filter((e) => {
  const range = document.createRange()
  range.selectNodeContents(e)
  return new Set([...range.getClientRects()].map((r) => r.top)).size > 1 || e.scrollWidth > e.clientWidth
}).map((e) => e.textContent)`

// tooFaint evaluates to the texts of the page whose contrast is below 4.5 (WCAG 2.2, 1.4.3).
const tooFaint = `(() => {
  const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n.length > 3 ? n[3] : 1 } }
  const over = (top, below) => top.rgb.map((v, i) => v * top.a + below[i] * (1 - top.a))
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const chain = (e) => { const list = []; for (; e; e = e.parentElement) list.unshift(e); return list }
  const faint = []
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())
    if (!own && !('placeholder' in e && e.placeholder) || !e.checkVisibility() || e.closest('.hidden')) continue
    let below = [255, 255, 255], opacity = 1
    for (const p of chain(e)) {
      const s = getComputedStyle(p)
      opacity *= Number(s.opacity)
      below = over(parse(s.backgroundColor), below)
    }
    const color = parse(own ? getComputedStyle(e).color : getComputedStyle(e, '::placeholder').color)
    color.a *= opacity
    const [x, y] = [light(over(color, below)), light(below)]
    const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)
    if (ratio < 4.5) faint.push(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2) + ' ' + e.textContent.slice(0, 40))
  }
  return faint
})()`

func checkContrast(t *testing.T, b *browser, name string) {
	t.Helper()
	if faint := eval[[]string](t, b, tooFaint); len(faint) > 0 {
		t.Errorf("%s: contrast below 4.5 of %s", name, strings.Join(faint, "; "))
	}
}

// TestLooks shows the page in windows of several widths, light and dark.
func TestLooks(t *testing.T) {
	g := start(t, keyFile)
	for range 12 {
		g.ask(t, predict+support, webSecret, "Hello?", 200)
	}
	g.ask(t, predict+docs, "", "fail", 500)
	g.ask(t, predict+support, "", "Hello?", 401)
	g.ask(t, predict+internal, webSecret, "Hello?", 403)
	g.ask(t, predict+support, "statuspage-test-secret-old", "Hello?", 401)
	g.ask(t, "/api/v1/chatflows", "", "", 404)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, row("chatflows", "support-bot"), "\n14\n", "missing_key 1")
	b.shows(t, "#refusals", "not_exposed")
	backgrounds := map[string]bool{}
	widths := []int64{360, 390, 800, 1056, 1152, 1280, 1920, 2560}
	for i := range 2 * len(widths) {
		l := look{widths[i/2], 900, []string{"light", "dark"}[i%2]}
		name := fmt.Sprintf("looks-%d-%s", l.width, l.scheme)
		b.appear(t, l)
		noOverflow(t, b, name)
		checkContrast(t, b, name)
		if numbers := eval[[]string](t, b, broken); len(numbers) > 0 {
			t.Errorf("%s: numbers that are broken into lines = %q, want none", name, numbers)
		}
		if ids := eval[[]string](t, b, wrappedIDs); len(ids) > 0 {
			t.Errorf("%s: IDs that are broken into lines or cut off = %q, want none", name, ids)
		}
		b.picture(t, name)
		backgrounds[l.scheme+eval[string](t, b, "getComputedStyle(document.body).backgroundColor")] = true
	}
	if len(backgrounds) != 2 {
		t.Errorf("backgrounds = %v, want one for light and another for dark", backgrounds)
	}
	// tooFaint must be able to find one.
	eval[bool](t, b, "document.querySelector('#about').style.color = getComputedStyle(document.body).backgroundColor; true")
	if faint := eval[[]string](t, b, tooFaint); len(faint) != 1 {
		t.Errorf("faint texts = %q, want the one in the color of its background", faint)
	}
	b.quiet(t)
}

// TestAccessible checks the order of headings, the names and headers of tables, and the labels of controls.
func TestAccessible(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", narrow) // where tables are laid out as something else
	b.shows(t, row("keys", "acme-web"), "valid")
	for expression, want := range map[string]any{
		"document.documentElement.lang": "en",
		"[...document.querySelectorAll('h1, h2, h3')].map((e) => e.tagName).join(' ')":                 "H1 H2 H2 H2 H2 H2 H2 H2",
		"[...document.querySelectorAll('input, select')].filter((e) => !e.labels.length).length":       0.0,
		"[...document.querySelectorAll('table')].filter((e) => e.role !== 'table').length":             0.0,
		"[...document.querySelectorAll('tbody tr > *')].filter((e) => !e.getAttribute('role')).length": 0.0,
		"[...document.querySelectorAll('thead th')].filter((e) => e.scope !== 'col').length":           0.0,
		"document.querySelectorAll('[aria-live], [role=status], [role=alert]').length":                 1.0,
		"document.querySelectorAll('[style], [onclick], [onerror], script:not([src])').length":         0.0,
	} {
		if got := eval[any](t, b, expression); got != want {
			t.Errorf("%s = %v, want %v", expression, got, want)
		}
	}
	b.quiet(t)
}

// TestHostileNames has names in the key file that would do harm if the page took them for markup.
func TestHostileNames(t *testing.T) {
	names := []string{
		`<img src=x onerror="alert(1)">`, `<script>alert(2)</script>`, `"><svg onload=alert(3)>`, `javascript:alert(4)`, `__proto__`, `constructor`,
		"\u202eeslaf\u202c", "a\u200bb", "نص بالعربية", strings.Repeat("long-", 60), strings.Repeat("W", 300),
	}
	var file strings.Builder
	file.WriteString("version: 1\nkeys:\n  - {id: web, sha256: " + strings.Repeat("ab", 32) + "}\nchatflows:\n")
	used := 0
	for i, name := range names {
		quoted, _ := json.Marshal(name)
		fmt.Fprintf(&file, "  - {id: %08x-0000-4000-8000-000000000000, name: %s, keys: [web]}\n", i, quoted)
		used++
	}
	g := start(t, file.String())
	g.ask(t, predict+"00000000-0000-4000-8000-000000000000", "", "Hello?", 401)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#chatflows-note", fmt.Sprintf("%d chatflows", used))
	b.shows(t, "#chatflows", `<img src=x onerror="alert(1)">`, `<script>alert(2)</script>`, `\u202eeslaf\u202c`, `a\u200bb`, "__proto__", "نص بالعربية")
	if n := eval[int](t, b, "document.querySelectorAll('#chatflows :is(img, script, svg:not(.spark), a)').length"); n != 0 {
		t.Errorf("elements made of names = %d, want none", n)
	}
	if n := eval[int](t, b, "document.querySelectorAll('#chatflows tbody tr').length"); n != used {
		t.Errorf("rows = %d, want %d", n, used)
	}
	b.picture(t, "hostile-wide")
	b.appear(t, narrow)
	noOverflow(t, b, "hostile")
	b.picture(t, "hostile-narrow")
	b.quiet(t)
}

// TestPolicyHolds violates the policy: if the browser did not complain of that, no complaints would mean nothing.
func TestPolicyHolds(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#connection", "Live")
	b.quiet(t)
	eval[bool](t, b, "{ const s = document.createElement('style'); s.textContent = 'body { display: none }'; document.head.append(s); new Image().src = 'http://127.0.0.1:1/x'; true }")
	testkit.Eventually(t, "a complaint", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return strings.Contains(strings.Join(b.messages, "\n"), "style-src") && strings.Contains(strings.Join(b.messages, "\n"), "img-src")
	})
	if !eval[bool](t, b, "(() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } })()") {
		t.Error("setting innerHTML = success, want an exception")
	}
}
