package browser

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const adminToken = "0123456789abcdef0123456789abcdef"

// startConsole starts a gate on which keys can be changed.
func startConsole(t *testing.T, keyFile string) *gate {
	t.Helper()
	return start(t, keyFile, "--admin-token", "file:"+testkit.WriteFile(t, "admin.token", adminToken))
}

// fill fills in a field.
func (b *browser) fill(t *testing.T, selector, value string) {
	t.Helper()
	if !eval[bool](t, b, fmt.Sprintf("(() => { const e = document.querySelector(%q); if (!e) return false; e.focus(); e.select?.(); return document.activeElement === e })()", selector)) {
		t.Fatalf("no field %s can be filled in", selector)
	}
	b.do(t, chromedp.SendKeys(selector, value))
}

// press presses a button, or follows a link, and waits for the page that comes.
func (b *browser) press(t *testing.T, selector string) {
	t.Helper()
	b.leave(t, func() {
		t.Helper()
		if !eval[bool](t, b, fmt.Sprintf("(() => { const e = document.querySelector(%q); setTimeout(() => e?.click()); return Boolean(e) })()", selector)) {
			t.Fatalf("there is no %s to press on %s", selector, b.text(t, "main"))
		}
	})
}

// enter presses Enter, and waits for the page that comes.
func (b *browser) enter(t *testing.T) {
	t.Helper()
	b.leave(t, func() { _ = chromedp.Do(b.ctx, chromedp.KeyEvent(kb.Enter)) }) // the key may come up when the page has gone, which is an error
}

func (b *browser) signIn(t *testing.T) {
	t.Helper()
	b.fill(t, "#token", adminToken)
	b.press(t, "form[action=sign-in] button")
	b.shows(t, "h1", "Keys and chatflows")
}

// forget forgets the messages of the browser so far.
func (b *browser) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = nil
}

// check looks at a page in several widths, light and dark, and with axe.
func (b *browser) check(t *testing.T, name string) {
	t.Helper()
	for _, l := range []look{wide, wide.dark(), narrow, narrow.dark()} {
		b.appear(t, l)
		title := fmt.Sprintf("console-%s-%d-%s", name, l.width, l.scheme)
		noOverflow(t, b, title)
		accessible(t, b, title)
		b.picture(t, title)
	}
	b.appear(t, wide)
}

// TestConsole goes the way of somebody who has never opened a shell: signs in, makes a key for a chatflow, calls it with the
// snippet, sees it counted, rotates, disables, enables and deletes the key.
func TestConsole(t *testing.T) {
	g := startConsole(t, strings.NewReplacer("secret: "+webSecret, "sha256: "+digest(webSecret)).Replace(keyFile))
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, row("keys", "acme-web"), "Change")
	b.press(t, row("keys", "acme-web")+" a")
	b.shows(t, "h1", "Sign in")
	b.quiet(t) // before something is refused on purpose
	b.fill(t, "#token", "wrong")
	b.press(t, "form[action=sign-in] button")
	b.shows(t, ".alert", "That is not the admin token")
	b.forget()
	b.check(t, "sign-in")
	b.fill(t, "#token", adminToken)
	b.press(t, "form[action=sign-in] button")
	b.shows(t, "h1", "Key acme-web") // where the link led
	b.check(t, "key")
	b.press(t, "nav a[href='./']")
	b.check(t, "overview")

	b.press(t, "a[href=new-key]")
	b.check(t, "new-key")
	b.fill(t, "#id", "new-partner")
	b.fill(t, "#owner", "Jane & <Co>")
	eval[bool](t, b, "document.querySelector('[value=\""+support+"\"]').click(); true")
	b.fill(t, "#pasted", "https://flows.example.com/canvas/"+unlisted)
	b.press(t, "form.card button:not([type])")
	b.shows(t, ".alert", "Key new-partner is made, and applied")
	b.shows(t, ".facts", "Jane & <Co>", "never since the gate started")
	eval[bool](t, b, "document.querySelectorAll('details').forEach((d) => d.open = true); true")
	b.check(t, "secret")
	secret := b.text(t, ".secret .copyable pre")
	eval[bool](t, b, "document.querySelector('.secret [data-copy]').click(); true")
	b.shows(t, ".secret [data-copy]", "Cop") // Copied, or what to press
	snippet := b.text(t, ".secret details pre")
	snippet = strings.ReplaceAll(snippet, "http://127.0.0.1:"+port(g.URL), g.URL)
	if out, err := exec.Command("sh", "-c", snippet).CombinedOutput(); err != nil || !strings.Contains(string(out), "Hello.") {
		t.Errorf("%s = %s, %v, want the response of the upstream", snippet, out, err)
	}
	b.do(t, chromedp.Reload())
	if text := b.text(t, "body"); strings.Contains(text, secret) {
		t.Error("the secret is shown after a reload")
	}
	if text := b.text(t, ".facts"); strings.Contains(text, "never since") {
		t.Errorf("the key was used, and the page says %s", text)
	}
	for _, step := range []struct {
		press, says string
		want        int
	}{
		{"[value=rotate]", "has a new secret", 200}, // the old one overlaps
		{"[value=disable]", "is disabled", 401},
		{"[value=enable]", "is enabled", 200},
	} {
		b.press(t, step.press)
		b.shows(t, ".alert", step.says)
		g.ask(t, predict+support, secret, "Hello?", step.want)
	}
	eval[bool](t, b, "document.querySelector('details').open = true; document.querySelector('details [name=close]').click(); true")
	b.press(t, "[value=delete]")
	b.shows(t, ".alert", "Key new-partner is deleted")
	g.ask(t, predict+support, secret, "Hello?", 401)

	b.press(t, "a[href='chatflow?id="+support+"']")
	b.check(t, "chatflow")
	eval[bool](t, b, "document.querySelector('[name=sure]').click(); true")
	b.press(t, "[value=public]")
	b.shows(t, ".facts", "everyone, without a key")
	g.ask(t, predict+support, "", "Hello?", 200)
	b.press(t, "nav a[href='./']")
	b.press(t, "a[href=new-chatflow]")
	b.check(t, "new-chatflow")

	b.press(t, ".end button")
	b.shows(t, "h1", "Sign in")
	b.quiet(t)
}

// TestConsoleFromNothing begins with a key file that lists nothing, by keyboard alone.
func TestConsoleFromNothing(t *testing.T) {
	g := startConsole(t, "version: 1\n")
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#alerts", "Make a key under Keys and chatflows.")
	b.press(t, "nav a[href='console/']")
	testkit.Eventually(t, "focus on the field", func() bool { return eval[string](t, b, "document.activeElement.id") == "token" })
	b.do(t, chromedp.KeyEvent(adminToken))
	b.enter(t)
	b.shows(t, "main", "There are no keys yet")
	b.check(t, "empty")
	b.tabTo(t, "New key")
	b.enter(t)
	b.shows(t, "h1", "New key")
	b.tabTo(t, "id")
	b.do(t, chromedp.KeyEvent("first"))
	b.tabTo(t, "pasted")
	b.do(t, chromedp.KeyEvent("https://flows.example.com/canvas/"+support))
	b.tabTo(t, "Make the key")
	b.enter(t)
	b.shows(t, ".alert", "Key first is made, and applied")
	g.ask(t, predict+support, b.text(t, ".secret .copyable pre"), "Hello?", 200)
	b.quiet(t)
}

// tabTo presses Tab until what has the focus has an ID or a text.
func (b *browser) tabTo(t *testing.T, what string) {
	t.Helper()
	for range 40 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
		if eval[bool](t, b, fmt.Sprintf("[document.activeElement.id, document.activeElement.textContent.trim()].includes(%q)", what)) {
			return
		}
	}
	t.Fatalf("Tab does not lead to %q", what)
}

// TestConsoleTrouble shows what somebody sees whose form comes too late, or is wrong, or whose key file cannot be written.
func TestConsoleTrouble(t *testing.T) {
	g := startConsole(t, keyFile)
	b := visit(t, g.Admin+"/console/", wide)
	b.signIn(t)
	b.press(t, "a[href='key?id=batch']")
	testkit.ReplaceFile(t, g.Keys, keyFile+"# changed by hand\n")
	b.press(t, "[value=disable]")
	b.shows(t, ".alert", "has changed since you looked at it")
	b.check(t, "changed")
	b.press(t, "[value=disable]")
	b.shows(t, ".alert", "Key batch is disabled")
	b.press(t, "nav a[href='./']")
	b.press(t, "a[href=new-key]")
	b.fill(t, "#id", "batch")
	b.press(t, "form.card button:not([type])")
	b.shows(t, ".alert", "there is a key")
	testkit.ReplaceFile(t, g.Keys, "version: 1\nkeys: [\n")
	b.press(t, "nav a[href='./']")
	b.shows(t, ".alert", "Key file is invalid")
	b.check(t, "invalid")
}

// TestConsoleReadOnly opens the console of a gate without a token.
func TestConsoleReadOnly(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/console/", wide)
	b.shows(t, "h1", "Keys cannot be changed here")
	b.check(t, "read-only")
	b.quiet(t)
}

// TestStatusAccessible has axe look at the status page.
func TestStatusAccessible(t *testing.T) {
	g := startConsole(t, keyFile)
	g.ask(t, predict+support, webSecret, "Hello?", 200)
	g.ask(t, predict+support, "", "Hello?", 401)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, row("chatflows", "support-bot"), "\n2\n", "missing_key 1")
	b.do(t, chromedp.Reload()) // it asks for hours once a minute
	testkit.Eventually(t, "last hour of a chatflow and of a key", func() bool {
		return strings.Contains(eval[string](t, b, "[...document.querySelectorAll('.spark')].map((e) => e.getAttribute('aria-label')).join()"), "Last hour: 2 requests, 1 refused, 0 failed; first byte after ") &&
			eval[int](t, b, "document.querySelectorAll('#keys .spark rect').length") == 1
	})
	b.check(t, "status")
	b.quiet(t)
}

func port(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }
