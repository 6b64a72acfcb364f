package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// abortable is an upstream whose predictions go on until they are aborted, like Flowise's.
type abortable struct {
	status int  // of its response to an abort
	begun  bool // a prediction sends an event before it waits

	mu     sync.Mutex // guards the fields below
	aborts []string   // method, path and credential of each abort
	cut    int        // predictions whose connection was closed before their end

	end chan struct{} // ends predictions, aborted or not
}

func (u *abortable) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.Method == http.MethodPut {
		u.mu.Lock()
		u.aborts = append(u.aborts, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		u.mu.Unlock()
		w.WriteHeader(u.status)
		if u.status == http.StatusOK {
			close(u.end)
		}
		return
	}
	if u.begun {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("message:\ndata:x\n\n"))
		_ = http.NewResponseController(w).Flush()
	}
	select {
	case <-u.end:
	case <-r.Context().Done():
		u.mu.Lock()
		u.cut++
		u.mu.Unlock()
	}
}

func (u *abortable) seen() (aborts []string, cut int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string{}, u.aborts...), u.cut
}

// abortFile is a key file with one place at the upstream, and on_disconnect: abort.
func abortFile(more string) string {
	return "version: 1\nkeys:\n  - {id: key-a, secret: " + secretA + "}\nchatflows:\n" +
		"  - {id: " + botA + ", name: bot-a, keys: [key-a], on_disconnect: abort" + more + "}\n"
}

// ask sends a prediction. Once the upstream has it, it returns a function that closes the connection.
func (g *gate) ask(t *testing.T, body string, headers ...string) (close func()) {
	t.Helper()
	conn := g.dial(t)
	_, _, before := g.upstream.last()
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Type: application/json\r\n%s\r\n%s",
		botA, bearerOf(secretA), strings.Join(append(headers, ""), "\r\n"), body)
	testkit.Eventually(t, "request at the upstream", func() bool { _, _, n := g.upstream.last(); return n > before })
	return func() { conn.Close() }
}

func length(body string) string { return fmt.Sprintf("Content-Length: %d", len(body)) }

// TestAbortOnDisconnect has clients that leave. The upstream is told once, with its credential, and the place is taken
// until the upstream is done.
func TestAbortOnDisconnect(t *testing.T) {
	t.Parallel()
	const path = "PUT /api/v1/chatmessage/abort/" + botA + "/"
	for name, tt := range map[string]struct {
		body  string
		begun bool
		want  string
	}{
		"before the response":             {`{"question":"x","chatId":"chat-1"}`, false, "chat-1"},
		"in the middle of it":             {`{"question":"x","chatId":"chat-1"}`, true, "chat-1"},
		"a session":                       {`{"question":"x","overrideConfig":{"a":1,"sessionId":"s.1"}}`, true, "s.1"},
		"a session beside a chat":         {`{"overrideConfig":{"sessionId":"s1"},"chatId":"c1"}`, false, "c1"},
		"a chat that is null":             {`{"chatId":null,"overrideConfig":{"sessionId":"s1"}}`, false, "s1"},
		"a chat with an escaped letter":   {`{"chatId":"\u0063hat"}`, false, "chat"},
		"names that differ by case alone": {`{"chatid":"no","chatId":"c1","ChatId":"no"}`, false, "c1"},
	} {
		t.Run(name, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				u := &abortable{status: http.StatusOK, begun: tt.begun, end: make(chan struct{})}
				credential, err := keystore.ParseUpstreamAuthorization("file:" + testkit.WriteFile(t, "credential", "flowise-key-1\n"))
				if err != nil {
					t.Fatal(err)
				}
				g := newGate(t, u.serve, func(o *proxy.Options) {
					change(o)
					withKeys(t, abortFile(", limits: {concurrent: 1}"))(o)
					o.UpstreamAuthorization = credential
				})
				g.ask(t, tt.body, length(tt.body))()
				testkit.Eventually(t, "place for another request", func() bool { return g.predict(t, botA, secretA).status == 200 })
				if aborts, cut := u.seen(); len(aborts) != 1 || aborts[0] != path+tt.want+" Bearer flowise-key-1" || cut != 0 {
					t.Errorf("the upstream got %q, and %d requests were cut; want one abort of %s, and none", aborts, cut, tt.want)
				}
				testkit.Eventually(t, "log line of the client that left", func() bool { return strings.Contains(g.log.String(), `"code":"client_closed"`) })
				if strings.Contains(g.log.String(), "could not be told") {
					t.Errorf("log has a failure:\n%s", g.log)
				}
			})
		})
	}
}

// TestAbortThatFails: if the upstream cannot be told, that is logged once, and the request keeps its place until it ends.
func TestAbortThatFails(t *testing.T) {
	t.Parallel()
	const chat = `{"question":"x","chatId":"chat-1"}`
	for name, tt := range map[string]struct {
		body, header string
		status       int
		aborts       int
		why          string
	}{
		"no such route":                             {chat, length(chat), 404, 1, "it responds 404"},
		"no credential":                             {chat, length(chat), 401, 1, "it wants a credential of its own"},
		"no conversation":                           {`{}`, length(`{}`), 200, 0, "named no conversation"},
		"an ID that is a path":                      {`{"chatId":"../x"}`, length(`{"chatId":"../x"}`), 200, 0, "named no conversation"},
		"an ID that is a dot":                       {`{"chatId":".."}`, length(`{"chatId":".."}`), 200, 0, "named no conversation"},
		"an ID that is a number":                    {`{"chatId":12345}`, length(`{"chatId":12345}`), 200, 0, "named no conversation"},
		"a chat that is a number, beside a session": {`{"chatId":1,"overrideConfig":{"sessionId":"s1"}}`, length(`{"chatId":1,"overrideConfig":{"sessionId":"s1"}}`), 200, 0, "named no conversation"},
		"an ID that occurs twice":                   {`{"chatId":"a","chatId":"b"}`, length(`{"chatId":"a","chatId":"b"}`), 200, 0, "named no conversation"},
		"a body of no known length":                 {"5\r\n{\"x\":\r\n2\r\n1}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", 200, 0, "named no conversation"},
		"no JSON":                                   {"{", length("{"), 200, 0, "named no conversation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &abortable{status: tt.status, end: make(chan struct{})}
			g := newGate(t, u.serve, withKeys(t, abortFile(", limits: {concurrent: 1}")))
			g.ask(t, tt.body, tt.header)()
			testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), tt.why) })
			if !strings.Contains(g.log.String(), `"level":"info","request_id":"`) || !strings.Contains(g.log.String(), `"chatflow":"bot-a"`) {
				t.Errorf("log = %s, want the request and the chatflow at info", g.log)
			}
			if res := g.predict(t, botA, secretA); res.problem.Code != string(problem.TooManyConcurrent) {
				t.Errorf("request while the upstream goes on = %d %q, want too_many_concurrent", res.status, res.problem.Code)
			}
			close(u.end)
			testkit.Eventually(t, "place for another request", func() bool { return g.predict(t, botA, secretA).status == 200 })
			if aborts, cut := u.seen(); len(aborts) != tt.aborts || cut != 0 {
				t.Errorf("the upstream got %q, and %d requests were cut; want %d aborts, and none", aborts, cut, tt.aborts)
			}
			if n := strings.Count(g.log.String(), "could not be told"); n != 1 {
				t.Errorf("log lines of the failure = %d, want 1", n)
			}
		})
	}
}

// TestAbortWhenTheGateCuts: the upstream is also told when the gate cuts a response. A response that ends by itself is
// not aborted.
func TestAbortWhenTheGateCuts(t *testing.T) {
	t.Parallel()
	const chat = `{"question":"x","chatId":"chat-1"}`
	t.Run("by its limit", func(t *testing.T) {
		t.Parallel()
		u := &abortable{status: http.StatusOK, begun: true, end: make(chan struct{})}
		g := newGate(t, u.serve, withKeys(t, abortFile(", limits: {stream: 1s}")))
		defer g.ask(t, chat, length(chat))()
		testkit.Eventually(t, "abort", func() bool { aborts, _ := u.seen(); return len(aborts) == 1 })
	})
	t.Run("by --upstream-timeout", func(t *testing.T) {
		t.Parallel()
		u := &abortable{status: http.StatusOK, end: make(chan struct{})}
		g := newGate(t, u.serve, func(o *proxy.Options) {
			withKeys(t, abortFile(""))(o)
			o.UpstreamTimeout = 100 * time.Millisecond
		})
		defer g.ask(t, chat, length(chat))()
		testkit.Eventually(t, "abort", func() bool { aborts, _ := u.seen(); return len(aborts) == 1 })
	})
	t.Run("by --cut-streams-on-revoke", func(t *testing.T) {
		t.Parallel()
		u := &abortable{status: http.StatusOK, begun: true, end: make(chan struct{})}
		file := abortFile("")
		s := serveGateWith(t, u.serve, 0, func(o *proxy.Options) {
			withKeys(t, file)(o)
			o.CutRevoked = true
		})
		defer s.ask(t, chat, length(chat))()
		testkit.ReplaceFile(t, s.proxy.Options().Store.Status().Path, strings.Replace(file, "{id: key-a,", "{id: key-a, disabled: true,", 1))
		if code, body := s.adminGet(t, "POST", "/-/reload"); code != 200 {
			t.Fatalf("reload = %d %s", code, body)
		}
		testkit.Eventually(t, "abort", func() bool { aborts, _ := u.seen(); return len(aborts) == 1 })
	})
	t.Run("not one that ends", func(t *testing.T) {
		t.Parallel()
		u := &abortable{status: http.StatusOK, begun: true, end: make(chan struct{})}
		g := newGate(t, u.serve, withKeys(t, abortFile("")))
		close(u.end)
		for range 3 {
			if res := g.request(t, "POST", "/api/v1/prediction/"+botA, chat, bearerOf(secretA), jsonType); res.status != 200 {
				t.Fatalf("prediction = %d %s", res.status, res.body)
			}
		}
		conn := g.dial(t)
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Type: application/json\r\n%s\r\n\r\n%s", botA, bearerOf(secretA), length(chat), chat)
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		testkit.Eventually(t, "four log lines", func() bool { return strings.Count(g.log.String(), `"message":"request"`) == 4 })
		if aborts, _ := u.seen(); len(aborts) != 0 || strings.Contains(g.log.String(), "could not be told") {
			t.Errorf("aborts = %q, want none\n%s", aborts, g.log)
		}
	})
}

// TestAbortNeedsARoute: on_disconnect: abort is an error if the upstream cannot be told to abort.
func TestAbortNeedsARoute(t *testing.T) {
	t.Parallel()
	for _, p := range route.Presets() {
		s, err := keystore.Parse("keys.yaml", []byte(abortFile("")))
		if err != nil {
			t.Fatal(err)
		}
		err = proxy.CheckSnapshot(s, p, route.Flowise().Routes)
		want := `keys.yaml:5: chatflow "` + botA + `": on_disconnect: abort: ` + p.Runner + ` has no route by which a request is ended; remove the line`
		if p.Name == "flowise" && err != nil || p.Name != "flowise" && (err == nil || err.Error() != want) {
			t.Errorf("CheckSnapshot before %s = %v", p.Runner, err)
		}
	}
}

// FuzzConversation: whatever the body, there is no abort path, or one that the gate itself would let through as an abort
// for that chatflow.
func FuzzConversation(f *testing.F) {
	for _, id := range []string{"chat-1", "..", ".", "a/b", "%2e", "a b", "ü", ".a", "~", ""} {
		f.Add(id)
	}
	table, err := route.NewTable(route.Flowise().Routes)
	if err != nil {
		f.Fatal(err)
	}
	var how *route.Abort
	for _, r := range route.Flowise().Routes {
		if r.Abort != nil {
			how = r.Abort
		}
	}
	f.Fuzz(func(t *testing.T, id string) {
		path := how.For(botA, id)
		if path == "" {
			return
		}
		r, err := http.NewRequest(how.Method, "http://gate/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.RequestURI, r.URL.Path = path, path
		got, refusal := table.Parse(r)
		if refusal != nil || got.Route.Name != "abort" || got.Chatflow != botA || got.Path != path {
			t.Fatalf("the gate takes %s for %+v, %v", path, got, refusal)
		}
	})
}
