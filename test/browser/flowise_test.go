//go:build e2e

package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// Where TestConsoleFlowise finds a Flowise. test/e2e starts one, and runs the test with these.
var (
	flowiseURL    = os.Getenv("E2E_FLOWISE_URL")
	flowiseKey    = os.Getenv("E2E_FLOWISE_KEY")   // an API key of Flowise, which may list chatflows
	chatflowName  = os.Getenv("E2E_CHATFLOW_NAME") // of a chatflow that responds "echo: " and the question
	flowiseClient = os.Getenv("E2E_CLIENT")        // the directory of the package flowise-sdk
	flowiseWidget = os.Getenv("E2E_WIDGET_FILE")   // web.js of flowise-embed
)

// TestConsoleFlowise begins with an empty key file before a real Flowise, and uses no shell but for the snippets: it makes a
// key for a chatflow that it picks by the name that Flowise has for it, calls that with each snippet as it is shown, sees the
// requests counted, rotates with overlap, and revokes.
func TestConsoleFlowise(t *testing.T) {
	snippetPage := ""
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/web.js" {
			http.ServeFile(w, r, flowiseWidget)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>Shop</title><body>%s</body>", snippetPage)
	}))
	t.Cleanup(site.Close)
	g := testkit.Serve(t, testkit.Options{Program: testkit.Build(t), Keys: "version: 1\n", Upstream: flowiseURL, Args: []string{
		"--admin-token", "file:" + testkit.WriteFile(t, "admin.token", adminToken),
		"--upstream-api", "file:" + testkit.WriteFile(t, "flowise.key", flowiseKey),
		"--expose", "predict,widget", "--cors-origins", site.URL, "--drain", "0s",
	}})
	b := visit(t, g.Admin+"/console/", wide)
	b.signIn(t)
	b.shows(t, "main", "There are no keys yet")

	b.press(t, "a[href=new-key]")
	b.fill(t, "#id", "shop")
	b.fill(t, "#owner", "Jane, Acme Inc.")
	if !eval[bool](t, b, fmt.Sprintf("(() => { const l = [...document.querySelectorAll('.choices label')].find((l) => l.querySelector('bdi')?.textContent === %q); l?.click(); return Boolean(l) })()", chatflowName)) {
		t.Fatalf("the form does not offer %q: %s", chatflowName, b.text(t, "main"))
	}
	b.press(t, "form.card button:not([type])")
	b.shows(t, ".alert", "Key shop is made, and applied")
	b.quiet(t)
	first := b.secret(t)
	snippets := eval[map[string]string](t, b, "Object.fromEntries([...document.querySelectorAll('.secret details')].map((d) => [d.querySelector('summary').textContent, d.querySelector('pre').textContent]))")
	if len(snippets) != 4 {
		t.Fatalf("snippets = %q, want four", snippets)
	}
	const response = "echo: Hello?"
	for name, run := range map[string]func(t *testing.T, text string) string{"curl": runCurl, "TypeScript": runTypeScript, "Python": runPython} {
		if got := run(t, snippets[name]); !strings.Contains(got, response) {
			t.Errorf("%s printed %s, want %q in it", snippets[name], got, response)
		}
	}
	snippetPage = strings.Replace(snippets["Web page"], "https://cdn.jsdelivr.net/npm/flowise-embed/dist/web.js", "/web.js", 1)
	if snippetPage == snippets["Web page"] {
		t.Fatalf("snippet = %s, want the widget from its usual place", snippetPage)
	}
	visit(t, site.URL, wide).askWidget(t, "Hello?", response)

	// The widget's preparations are requests, too.
	b.do(t, chromedp.Navigate(g.Admin+"/"))
	b.shows(t, row("keys", "shop"), "ago")
	testkit.Eventually(t, "at least four requests, none refused", func() bool {
		cells := eval[[]string](t, b, fmt.Sprintf("[...document.querySelectorAll('%s td')].map((e) => e.innerText)", row("chatflows", chatflowName)))
		n := 0
		_, err := fmt.Sscan(cells[1], &n)
		return err == nil && n >= 4 && strings.HasPrefix(cells[2], "0")
	})
	b.press(t, row("keys", "shop")+" a")
	b.shows(t, "h1", "Key shop")
	if facts := b.text(t, ".facts"); strings.Contains(facts, "never") || !strings.Contains(facts, "Jane, Acme Inc.") {
		t.Errorf("facts of the key = %s, want its owner and when it was used", facts)
	}

	b.press(t, "[value=rotate]") // the old one overlaps for a day
	b.shows(t, ".alert", "has a new secret")
	second := b.secret(t)
	snippet := eval[string](t, b, "document.querySelector('.secret details pre').textContent") // curl
	for secret, text := range map[string]string{first: snippets["curl"], second: snippet} {
		if got := runCurl(t, text); !strings.Contains(got, response) || !strings.Contains(text, secret) {
			t.Errorf("during the overlap %s printed %s, want %q in it", text, got, response)
		}
	}
	b.press(t, "[value=disable]")
	b.shows(t, ".alert", "is disabled")
	for _, text := range []string{snippets["curl"], snippet} {
		if got := runCurl(t, text); !strings.Contains(got, `"code":"invalid_key"`) {
			t.Errorf("after the key was revoked %s printed %s, want a refusal", text, got)
		}
	}
	b.do(t, chromedp.Navigate(g.Admin+"/"))
	b.shows(t, "#alerts", "Key shop was refused")
	b.shows(t, row("keys", "shop"), "invalid_key 2")
	b.quiet(t)
}

// secret returns the secret that the page shows.
func (b *browser) secret(t *testing.T) string {
	t.Helper()
	secret := b.text(t, ".secret .copyable pre")
	if !strings.HasPrefix(secret, "fl_") {
		t.Fatalf("secret = %q, want one", secret)
	}
	return secret
}

// askWidget asks a question in the widget of a page, and waits for a response.
func (b *browser) askWidget(t *testing.T, question, response string) {
	t.Helper()
	const root = "document.querySelector('flowise-chatbot')?.shadowRoot"
	testkit.Eventually(t, "button of the widget", func() bool { return eval[bool](t, b, "Boolean("+root+"?.querySelector('button'))") })
	eval[bool](t, b, root+".querySelector('button').click(); true")
	testkit.Eventually(t, "input of the widget", func() bool { return eval[bool](t, b, "Boolean("+root+"?.querySelector('textarea'))") })
	eval[bool](t, b, root+".querySelector('textarea').focus(); true")
	b.do(t, chromedp.KeyEvent(question+"\r"))
	testkit.Eventually(t, fmt.Sprintf("%q in the widget", response), func() bool {
		return strings.Contains(eval[string](t, b, "[..."+root+".querySelectorAll('.chatbot-host-bubble')].map((e) => e.textContent).join('\\n')"), response)
	})
}

func runCurl(t *testing.T, text string) string { return runProgram(t, t.TempDir(), "sh", "-c", text) }

func runPython(t *testing.T, text string) string {
	return runProgram(t, t.TempDir(), "python3", testkit.WriteFile(t, "ask.py", text))
}

// runTypeScript runs a program that has no types in it, so that Node needs no compiler, where flowise-sdk is installed.
func runTypeScript(t *testing.T, text string) string {
	t.Helper()
	path := testkit.WriteFile(t, "ask.mjs", text)
	dir := filepath.Dir(path)
	if err := os.Mkdir(filepath.Join(dir, "node_modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(flowiseClient, filepath.Join(dir, "node_modules", "flowise-sdk")); err != nil {
		t.Fatal(err)
	}
	return runProgram(t, dir, "node", "--preserve-symlinks", path)
}

func runProgram(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NO_PROXY=*"}
	out, _ := cmd.CombinedOutput() // it is judged by what it prints
	return string(out)
}
