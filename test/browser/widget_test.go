package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const (
	widgetChatflow = "3f1c2a9e-1111-4222-8333-444455556666"
	widgetKeys     = `version: 1
keys:
  - {id: one, secret: secret-of-one-0123456789}
  - {id: two, secret: secret-of-two-0123456789}
chatflows:
  - {id: ` + widgetChatflow + `, keys: [one, two]}
`
)

// vendor stands for the chat widget. The old one does not call onRequest for questions.
const vendor = `
window.chats = []
class Chat extends HTMLElement {
  async ask(question) {
    const init = { method: 'POST', body: JSON.stringify({ question }), headers: { 'Content-Type': 'application/json' } }
    if (!import.meta.url.includes('old')) await this.onRequest(init)
    const response = await fetch(this.apiHost + '/api/v1/prediction/' + this.chatflowid, init)
    return response.status + ' ' + await response.text()
  }
  connectedCallback() { chats.push(this) }
}
customElements.define('flowise-chatbot', Chat)
`

// site is a web site with a page, its tokens, and the gate below /chat/ of its origin.
type site struct {
	*httptest.Server
	gate *gate

	mu     sync.Mutex
	tokens []string                                 // paths of the requests for tokens
	keys   []string                                 // that reached the gate
	token  func(http.ResponseWriter, *http.Request) // responds to requests for tokens
	lines  string                                   // of the page
}

// widgetPolicy is a strict policy for the page.
const widgetPolicy = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"

func startSite(t *testing.T, lines string, args ...string) *site {
	t.Helper()
	s := &site{lines: lines, gate: start(t, widgetKeys, append([]string{"--path-prefix", "/chat"}, args...)...)}
	s.respond(giveToken("one", 1000))
	to, err := url.Parse(s.gate.URL)
	if err != nil {
		t.Fatal(err)
	}
	chat := httputil.NewSingleHostReverseProxy(to)
	mux := http.NewServeMux()
	mux.HandleFunc("/chat/", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/prediction/") {
			s.mu.Lock()
			s.keys = append(s.keys, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			s.mu.Unlock()
		}
		chat.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /token/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.tokens = append(s.tokens, r.URL.Path)
		respond := s.token
		s.mu.Unlock()
		respond(w, r)
	})
	for name, text := range map[string]string{
		"/web.js": vendor, "/old.js": vendor,
		"/clock.js": "window.shift = 0; const now = Date.now; Date.now = () => now() + shift", "/wrong.js": "shift = 86400000",
	} {
		mux.HandleFunc("GET "+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, text)
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", widgetPolicy)
		fmt.Fprintf(w, "<!doctype html><link rel=icon href=data:,><script src=/clock.js></script><p id=page>page</p>\n%s", s.lines)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

// respond sets what responds to requests for tokens.
func (s *site) respond(token http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// asked returns how many requests for tokens there were.
func (s *site) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tokens)
}

// forgetKeys forgets the keys of the questions so far.
func (s *site) forgetKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = nil
}

// giveToken gives a key for a token, which to the script is the same.
func giveToken(key string, seconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"token":"secret-of-%s-0123456789","expires_at":%d}`, key, time.Now().Unix()+int64(seconds))
	}
}

func giveStatus(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// scriptLine is the line of the page that starts a chat.
func scriptLine(more string) string {
	return `<script src="/chat/-/widget.js" data-chatflow="` + widgetChatflow + `" data-widget="/web.js" ` + more + `></script>`
}

// chats waits until there are so many chats on the page.
func (b *browser) chats(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprint(n, " chats"), func() bool { return eval[int](t, b, "window.chats?.length ?? 0") == n })
}

// asks sends a question by a chat of the page, and wants the response to begin so.
func (b *browser) asks(t *testing.T, chat int, want string) {
	t.Helper()
	if got := eval[string](t, b, fmt.Sprintf("chats[%d].ask('hello')", chat)); !strings.HasPrefix(got, want) {
		t.Errorf("response = %s, want %s", got, want)
	}
}

// wantKeys wants these to be the keys of the questions so far.
func (s *site) wantKeys(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range want {
		if want[i] != "" {
			want[i] = "secret-of-" + want[i] + "-0123456789"
		}
	}
	if fmt.Sprint(s.keys) != fmt.Sprint(want) {
		t.Errorf("keys of questions = %q, want %q", s.keys, want)
	}
}

// TestWidgetStarts has two chats on a page with a strict policy. Each gets its own token, once.
func TestWidgetStarts(t *testing.T) {
	s := startSite(t, scriptLine(`data-token="/token/one" data-options='{"theme":{"button":{"size":"large"}}}'`)+scriptLine(`data-token="/token/two"`))
	s.respond(func(w http.ResponseWriter, r *http.Request) {
		giveToken(strings.TrimPrefix(r.URL.Path, "/token/"), 1000)(w, r)
	})
	b := visit(t, s.URL, wide)
	b.chats(t, 2)
	first := 0
	if eval[string](t, b, "chats[0].theme?.button.size ?? ''") != "large" { // whichever was first
		first = 1
	}
	b.asks(t, first, `200 {"text":"Hello."}`)
	b.asks(t, 1-first, "200")
	b.asks(t, first, "200")
	s.wantKeys(t, "one", "two", "one")
	if n := s.asked(); n != 2 {
		t.Errorf("requests for tokens = %d, want one for each chat", n)
	}
	b.quiet(t)
}

// TestWidgetRenews moves the clock of the page. A token is renewed at 80 % of its life while it is used on, and waited for
// where the machine slept longer than that.
func TestWidgetRenews(t *testing.T) {
	s := startSite(t, scriptLine(`data-token="/token/x"`))
	b := visit(t, s.URL, wide)
	b.chats(t, 1)
	at := func(seconds int) { eval[int](t, b, fmt.Sprintf("shift = %d", seconds*1000)) }
	at(780)
	b.asks(t, 0, "200")
	if n := s.asked(); n != 1 {
		t.Errorf("requests for tokens before 80 %% = %d, want 1", n)
	}
	slow := make(chan struct{})
	s.respond(func(w http.ResponseWriter, r *http.Request) {
		<-slow
		giveToken("two", 1000)(w, r)
	})
	at(810)
	b.asks(t, 0, "200") // does not wait for the new token
	b.asks(t, 0, "200")
	testkit.Eventually(t, "request for a new token", func() bool { return s.asked() == 2 })
	s.wantKeys(t, "one", "one", "one")
	close(slow)
	testkit.Eventually(t, "question with the new token", func() bool {
		b.asks(t, 0, "200")
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.keys[len(s.keys)-1], "two")
	})
	s.respond(giveToken("one", 1000))
	at(100000) // it slept
	s.forgetKeys()
	b.asks(t, 0, "200")
	s.wantKeys(t, "one")
	if n := s.asked(); n != 3 {
		t.Errorf("requests for tokens = %d, want 3", n)
	}
	at(100000 + 999) // the token ends within this second, by a clock that is not the page's
	s.respond(giveToken("two", 1000))
	s.forgetKeys()
	b.asks(t, 0, "200")
	s.wantKeys(t, "two")
	b.quiet(t)
}

// TestWidgetWithWrongClock: the clock of the visitor's machine is a day ahead, and the token good all the same.
func TestWidgetWithWrongClock(t *testing.T) {
	s := startSite(t, `<script src=/wrong.js></script>`+scriptLine(`data-token="/token/x"`))
	b := visit(t, s.URL, wide)
	b.chats(t, 1)
	b.asks(t, 0, "200")
	b.asks(t, 0, "200")
	if n := s.asked(); n != 1 {
		t.Errorf("requests for tokens = %d, want 1", n)
	}
	b.quiet(t)
}

// TestWidgetWithoutToken: a visitor who gets no token reads a sentence, and gets the chat once there is a token.
func TestWidgetWithoutToken(t *testing.T) {
	const (
		signIn, mayNot = "Please sign in to chat.", "You may not chat here."
		later, none    = "Please try again later.", "The chat is unavailable."
	)
	html := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>Welcome</title>")
	}
	s := startSite(t, "")
	s.lines = scriptLine(`data-token="/token/x"`)
	b := visit(t, "about:blank", wide)
	for name, tt := range map[string]struct {
		token http.HandlerFunc
		want  string
	}{
		"401":                {giveStatus(401), signIn},
		"403":                {giveStatus(403), mayNot},
		"429":                {giveStatus(429), later},
		"500":                {giveStatus(500), none},
		"404":                {giveStatus(404), none},
		"HTML":               {html, none},
		"JSON of another":    {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"access_token":"x"}`) }, none},
		"no object":          {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `null`) }, none},
		"expired":            {giveToken("one", -10), none},
		"redirect to log in": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, signIn},
		"broken connection":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, none},
	} {
		t.Run(name, func(t *testing.T) {
			s.respond(tt.token)
			b.do(t, chromedp.Navigate(s.URL))
			b.shows(t, "p[role=status]", tt.want)
			if n := eval[int](t, b, "window.chats?.length ?? 0"); n != 0 {
				t.Errorf("chats without a token = %d, want none", n)
			}
			s.respond(giveToken("one", 1000))
			eval[bool](t, b, "document.dispatchEvent(new Event('visibilitychange'))") // as after a visit to the page to sign in
			b.chats(t, 1)
			b.asks(t, 0, "200")
			if got := b.text(t, "p[role=status]"); got != "" {
				t.Errorf("shown beside the chat: %q, want nothing", got)
			}
		})
	}
	t.Run("a text of the page's own", func(t *testing.T) {
		s.lines = scriptLine(`data-token="/token/x" data-message-401="Bitte melden Sie sich an."`)
		s.respond(giveStatus(401))
		b.do(t, chromedp.Navigate(s.URL))
		b.shows(t, "p[role=status]", "Bitte melden Sie sich an.")
	})
	t.Run("no text", func(t *testing.T) {
		s.lines = scriptLine(`data-token="/token/x" data-message-401`)
		before := s.asked()
		b.do(t, chromedp.Navigate(s.URL))
		testkit.Eventually(t, "request for a token", func() bool { return s.asked() > before })
		eval[bool](t, b, "fetch('/token/x', {method: 'POST'}).then(() => true)") // the response to the first is there before this one's
		if eval[bool](t, b, "document.querySelector('p[role=status]') !== null") {
			t.Error("an empty text is shown, want nothing")
		}
		s.lines = scriptLine(`data-token="/token/x" data-message-401="Bitte melden Sie sich an."`)
	})
	t.Run("in the middle of a conversation", func(t *testing.T) {
		s.respond(giveToken("one", 1000))
		b.do(t, chromedp.Navigate(s.URL))
		b.chats(t, 1)
		s.respond(giveStatus(401))
		eval[int](t, b, "shift = 900000")
		b.asks(t, 0, "200") // the old one still lives
		eval[int](t, b, "shift = 2000000")
		b.asks(t, 0, "")
		b.shows(t, "p[role=status]", "Bitte melden Sie sich an.")
	})
}

// TestWidgetWithSlowTokens: a server that never responds costs the visitor 10 s, and the page nothing.
func TestWidgetWithSlowTokens(t *testing.T) {
	s := startSite(t, scriptLine(`data-token="/token/x"`))
	s.respond(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	b := visit(t, s.URL, wide)
	if got := b.text(t, "#page"); got != "page" {
		t.Errorf("page = %q, want it shown", got)
	}
	b.shows(t, "p[role=status]", "The chat is unavailable.")
}

// TestWidgetAfterRestart: a gate that does not know the token any more, as after a restart with a new secret, costs the
// visitor one question.
func TestWidgetAfterRestart(t *testing.T) {
	s := startSite(t, scriptLine(`data-token="/token/x"`))
	b := visit(t, s.URL, wide)
	b.chats(t, 1)
	b.asks(t, 0, "200")
	s.gate.replace(t, strings.Replace(widgetKeys, "{id: one, secret: secret-of-one-0123456789}", "{id: one, secret: another-secret-0123456789}", 1))
	s.respond(giveToken("two", 1000))
	b.asks(t, 0, "401")
	testkit.Eventually(t, "question with the new token", func() bool {
		return strings.HasPrefix(eval[string](t, b, "chats[0].ask('hello')"), "200")
	})
	if n := s.asked(); n != 2 {
		t.Errorf("requests for tokens = %d, want 2", n)
	}
}

// TestOldWidget: one that sends questions without the token is told about on the console, once.
func TestOldWidget(t *testing.T) {
	s := startSite(t, strings.Replace(scriptLine(`data-token="/token/x"`), "/web.js", "/old.js", 1))
	b := visit(t, s.URL, wide)
	b.chats(t, 1)
	b.asks(t, 0, "401")
	b.asks(t, 0, "401")
	told := func() (n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, m := range b.messages {
			if strings.Contains(m, "this widget asks without a token; use 3.1.3 or newer or data-session") {
				n++
			}
		}
		return n
	}
	testkit.Eventually(t, "warning", func() bool { return told() > 0 })
	b.asks(t, 0, "401")
	if n := told(); n != 1 {
		t.Errorf("warnings = %d, want 1", n)
	}
	s.wantKeys(t, "", "", "")
}
