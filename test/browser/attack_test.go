package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestConsoleAttacked has somebody who has signed in open pages of another port of this machine, which is the same site for
// cookies, and of another site. Both send the form that disables a key, with all that it needs.
func TestConsoleAttacked(t *testing.T) {
	g := startConsole(t, keyFile)
	var form string
	evil := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, form)
	}))
	b := visit(t, g.Admin+"/console/", wide)
	b.signIn(t)
	b.press(t, "a[href='key?id=batch']")
	version := eval[string](t, b, "document.querySelector('[name=version]').value")
	form = fmt.Sprintf(`<form method="post" action="%s/console/key"><input name="id" value="batch"><input name="version" value="%s"><input name="action" value="disable"></form>`, g.Admin, version)
	for name, url := range map[string]string{"another port": evil.URL, "another site": strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		b.do(t, chromedp.Navigate(url))
		b.leave(t, func() { eval[bool](t, b, "setTimeout(() => document.forms[0].submit()); true") })
		b.shows(t, "body", "cross-origin request detected")
		g.ask(t, predict+support, batchSecret, "Hello?", 200)
		// Nor can it read the page, or what the status says.
		b.do(t, chromedp.Navigate(url))
		for _, path := range []string{"/console/", "/status", "/api/keys"} {
			read := fmt.Sprintf("fetch('%s%s', { credentials: 'include' }).then((r) => r.text(), () => 'no')", g.Admin, path)
			if got := eval[string](t, b, read); got != "no" {
				t.Errorf("%s reads %s: %.100s", name, path, got)
			}
		}
	}
	b.do(t, chromedp.Navigate(g.Admin+"/console/key?id=batch"))
	b.shows(t, "h1", "Key batch") // the session goes on
	b.press(t, "[value=disable]") // and the same form works from here
	g.ask(t, predict+support, batchSecret, "Hello?", 401)
}
