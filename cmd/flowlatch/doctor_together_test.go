package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// fakeFlowise responds like a Flowise 2.x without a login that has some chatflows. It also has the vector/upsert of
// 3.x.
type fakeFlowise struct {
	chatflows []string // "ID" or "ID KEY"
}

func (f fakeFlowise) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	fail := func(status int, body string) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
	switch path := strings.TrimPrefix(r.URL.Path, "/api/v1/"); {
	case path == "ping":
		fmt.Fprint(w, "pong")
	case path == "version":
		fmt.Fprint(w, `{"version":"2.2.8"}`)
	case path == "chatflows":
		var rows []string
		for _, c := range f.chatflows {
			id, key, _ := strings.Cut(c, " ")
			rows = append(rows, fmt.Sprintf(`{"id":%q,"name":"bot","apikeyid":%q}`, id, key))
		}
		fmt.Fprintf(w, "[%s]", strings.Join(rows, ","))
	case strings.HasPrefix(path, "chatflows-streaming/") && strings.Contains(strings.Join(f.chatflows, " "), last):
		fmt.Fprint(w, `{"isStreaming":true}`)
	case strings.HasPrefix(path, "vector/upsert/"):
		fail(http.StatusUnauthorized, `{"error":"Unauthorized Access"}`)
	case strings.HasPrefix(path, "prediction/"):
		fail(http.StatusInternalServerError, `{"statusCode":500,"success":false,"message":"Error: predictionsServices.buildChatflow - Unauthorized","stack":{}}`)
	default:
		fail(http.StatusInternalServerError, `{"statusCode":500,"success":false,"message":"not found","stack":{}}`)
	}
}

// otherAddress returns a URL at another address of this machine, with the same port, that leads to the same server.
func otherAddress(t *testing.T, to string) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("this machine has no address 127.0.0.2")
	}
	t.Cleanup(func() { l.Close() })
	go forwardConns(l, target.Host)
	return "http://" + l.Addr().String()
}

// forwardConns forwards connections to the addresses in turn, like a Kubernetes Service.
func forwardConns(l net.Listener, to ...string) {
	for n := 0; ; n++ {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			conn, err := net.Dial("tcp", to[n%len(to)])
			if err != nil {
				return
			}
			defer conn.Close()
			go func() { _, _ = io.Copy(conn, from) }()
			_, _ = io.Copy(from, conn)
		}()
	}
}

// TestDoctorTogether: what doctor is given must belong to the same gate. If something does not, doctor names it.
func TestDoctorTogether(t *testing.T) {
	t.Parallel()
	flowise := testkit.Upstream(t, fakeFlowise{[]string{webChatflow, batchChatflow}})
	stranger := testkit.Upstream(t, fakeFlowise{[]string{"00000000-0000-4000-8000-000000000001"}})
	silent := testkit.Upstream(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	web := testkit.Upstream(t, http.NotFoundHandler())
	g, other := startGateWith(t, testkit.Options{Upstream: flowise.URL}), startGateWith(t, testkit.Options{Upstream: flowise.URL})
	raw, err := os.ReadFile(g.Keys)
	if err != nil {
		t.Fatal(err)
	}
	duplicate := testkit.WriteFile(t, "copy.yaml", string(raw))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go forwardConns(l, other.addr(), g.addr(), other.addr())
	service := "http://" + l.Addr().String()
	admin := func(g *gate) string { return strings.TrimPrefix(g.Admin, "http://") }
	localhost := strings.Replace(flowise.URL, "127.0.0.1", "localhost", 1)
	const nobody = "http://127.0.0.1:1"

	for name, tt := range map[string]struct {
		url, admin, keys, upstream string
		code                       int
		want                       []string // rows as "check: RESULT text"
	}{
		"all right": {g.URL, admin(g), g.Keys, flowise.URL, exitOK, []string{
			"--admin: ok " + admin(g) + " belongs to the gate at " + g.URL, "--keys: ok the gate has applied " + g.Keys, "--upstream: ok " + flowise.URL + " is the gate's upstream",
			"active keys: ok keys: 2", "around the gate: look " + flowise.URL + " answers on this machine",
		}},
		"a copy of the key file": {g.URL, admin(g), duplicate, "", exitOK, []string{"--keys: ok the gate has applied " + duplicate}},
		"one of three replicas":  {service, admin(g), "", "", exitOK, []string{"--admin: ok"}},
		"the admin listener of another gate": {g.URL, admin(other), other.Keys, flowise.URL, exitFailed, []string{
			"--admin: FAULT " + admin(other) + " belongs to another gate than " + g.URL, "--keys: - that the gate has applied", "--upstream: - that",
		}},
		"nobody as admin listener":        {g.URL, "127.0.0.1:1", "", "", exitFailed, []string{"--admin: FAULT nothing listens at 127.0.0.1:1", "admin listener: - none answers"}},
		"another program as admin":        {g.URL, strings.TrimPrefix(web.URL, "http://"), "", "", exitFailed, []string{"--admin: FAULT ", "admin listener: - none answers"}},
		"the gate as admin":               {g.URL, g.addr(), "", "", exitFailed, []string{"--admin: FAULT "}},
		"another program as gate":         {web.URL, admin(g), "", "", exitFailed, []string{"gate: OPEN " + web.URL + " is not answered by flowlatch", "--admin: - "}},
		"the key file of another gate":    {g.URL, admin(g), other.Keys, "", exitFailed, []string{"--keys: FAULT the gate has not applied " + other.Keys, "active keys: ok"}},
		"no such key file":                {g.URL, admin(g), "/nowhere/keys.yaml", "", exitFailed, []string{`key file: FAULT reading key file "/nowhere/keys.yaml": it does not exist`}},
		"another name of the upstream":    {g.URL, admin(g), "", localhost, exitOK, []string{"--upstream: ok " + localhost + " is the gate's upstream"}},
		"another address of the upstream": {g.URL, admin(g), "", otherAddress(t, flowise.URL), exitOK, []string{"--upstream: ok ", "around the gate: look "}},
		"a mistyped upstream":             {g.URL, admin(g), "", nobody, exitFailed, []string{"--upstream: FAULT " + nobody + " does not answer, and the gate's upstream is " + flowise.URL}},
		"a silent upstream":               {g.URL, admin(g), "", silent.URL, exitFailed, []string{"--upstream: FAULT " + silent.URL + " does not answer", "around the gate: look " + silent.URL + " answers on this machine"}},
		"another Flowise":                 {g.URL, admin(g), "", stranger.URL, exitFailed, []string{"--upstream: FAULT " + stranger.URL + " is not the gate's upstream, which is " + flowise.URL + ": it does not have chatflow support-bot"}},
		"a web server as upstream":        {g.URL, admin(g), "", web.URL, exitFailed, []string{"--upstream: FAULT " + web.URL + " is not the gate's upstream"}},
		"the gate as upstream":            {g.URL, admin(g), "", g.URL, exitFailed, []string{"--upstream: FAULT " + g.URL + " is a gate", "around the gate: ok " + g.URL + " is answered by flowlatch itself"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--url", tt.url, "--admin", tt.admin}
			if tt.keys != "" {
				args = append(args, "--keys", tt.keys)
			}
			if tt.upstream != "" {
				args = append(args, "--upstream", tt.upstream)
			}
			rows := runDoctor(t, tt.code, args...)
			for _, want := range tt.want {
				check, row, _ := strings.Cut(want, ": ")
				wantRow(t, rows, check, row)
			}
			if !strings.HasPrefix(tt.want[0], "--admin: FAULT") {
				return
			}
			if got := rows["active keys"]; got != nil {
				t.Errorf("active keys = %q, want nothing said of another gate", got)
			}
		})
	}
}

// addr returns where clients reach the gate.
func (g *gate) addr() string { return strings.TrimPrefix(g.URL, "http://") }

// TestDoctorUnproven: where the gate's upstream cannot be compared, doctor says so, and never that all is well.
func TestDoctorUnproven(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, testkit.Options{Upstream: "http://flowise.invalid:3000"})
	admin := strings.TrimPrefix(g.Admin, "http://")
	rows := runDoctor(t, exitOK, "--url", g.URL, "--admin", admin, "--upstream", "http://127.0.0.1:1")
	wantRow(t, rows, "--upstream", "look http://127.0.0.1:1 does not answer here, and the gate's upstream is http://flowise.invalid:3000")
	wantRow(t, rows, "around the gate", "look http://127.0.0.1:1 cannot be reached from here, which is good if it is the upstream")
	rows = runDoctor(t, exitOK, "--url", g.URL, "--admin", admin, "--upstream", "http://flowise.invalid:3000/")
	wantRow(t, rows, "around the gate", "look http://flowise.invalid:3000 cannot be reached from here, and the gate cannot reach it either")
}

// TestDoctorScheme: http:// for a server that speaks TLS, or https:// for one that does not, is a mistake in the URL
// and not a hole.
func TestDoctorScheme(t *testing.T) {
	t.Parallel()
	secure, plain := startSecureGate(t, newEcho()), startGate(t, newEcho())
	redirects := testkit.Upstream(t, http.RedirectHandler("https://flows.example.com/", http.StatusMovedPermanently))
	upstream := httptest.NewTLSServer(newEcho())
	t.Cleanup(upstream.Close)
	for _, tt := range []struct{ url, want string }{
		{strings.Replace(secure.URL, "https", "http", 1), "speaks TLS; begin --url with https://"},
		{strings.Replace(plain.URL, "http", "https", 1), "does not speak TLS; begin --url with http://"},
		{redirects.URL, `redirects (301) to "https://flows.example.com/"`},
	} {
		code, out, errs := flowlatch(t, "doctor", "--url", tt.url)
		if code != exitFailed || !strings.Contains(errs, tt.want) || out != "" {
			t.Errorf("doctor of %s = %d, %q, %q; want 1, nothing, %q", tt.url, code, out, errs, tt.want)
		}
	}
	admin := strings.TrimPrefix(plain.Admin, "http://")
	rows := runDoctor(t, exitFailed, "--url", plain.URL, "--admin", admin, "--upstream", strings.Replace(upstream.URL, "https", "http", 1))
	wantRow(t, rows, "around the gate", "FAULT "+strings.Replace(upstream.URL, "https", "http", 1)+" speaks TLS")
	insecure := strings.Replace(testkit.Upstream(t, newEcho()).URL, "http", "https", 1) // somebody listens there, so it can be reached
	rows = runDoctor(t, exitFailed, "--url", plain.URL, "--admin", admin, "--upstream", insecure)
	wantRow(t, rows, "around the gate", "FAULT "+insecure+" does not speak TLS")
}

// TestDoctorWithoutKeyFile: without --keys, the gate itself says what is open to everybody.
func TestDoctorWithoutKeyFile(t *testing.T) {
	t.Parallel()
	var entries strings.Builder
	for i := range 25 {
		fmt.Fprintf(&entries, "  - {id: 00000000-0000-4000-8000-%012d, name: open-%02d, public: true}\n", i, i)
	}
	g := testkit.Serve(t, testkit.Options{Upstream: testkit.Upstream(t, newEcho()).URL, Keys: `version: 1
keys:
  - {id: all, secret: our-own-secret-0123456789}
chatflows:
  - {id: "*", keys: [all]}
` + entries.String()})
	rows := runDoctor(t, exitOK, "--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"))
	for _, want := range []string{
		"look chatflow open-00 asks for no key", "look chatflow open-19 asks for no key", "look and public chatflows more: 5",
		`look keys that open every chatflow, also those made tomorrow ("*"): 1`, `ok keys: 1, chatflows: 25 and "*", generation: 1`,
	} {
		wantRow(t, rows, "active keys", want)
	}
}

// TestDoctorUpstreamKeys: doctor names what Flowise itself refuses. It learns that from refusals that the gate has
// seen, from the exposed routes, and from Flowise's own list.
func TestDoctorUpstreamKeys(t *testing.T) {
	t.Parallel()
	flowise := testkit.Upstream(t, fakeFlowise{[]string{webChatflow + " 1", batchChatflow, "00000000-0000-4000-8000-000000000001 2"}})
	g := startGateWith(t, testkit.Options{Upstream: flowise.URL, Args: []string{"--expose", "predict,upsert,mcp"}})
	args := []string{"--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"), "--keys", g.Keys, "--upstream", flowise.URL}
	g.predict(t, webChatflow, g.web)
	testkit.Eventually(t, "line of the request", func() bool { return len(g.Logged(t, "request")) == 1 })
	rows := runDoctor(t, exitOK, args...)
	const check = "upstream's keys"
	wantRow(t, rows, check, "look chatflow support-bot, route prediction: at 2")
	wantRow(t, rows, check, "look the upstream responded 500 to a request that the gate had allowed: the upstream was sent no credential")
	wantRow(t, rows, check, "look route vector-upsert is exposed (group upsert), and the upstream itself responds 401 there without an API key of Flowise")
	wantRow(t, rows, check, "look chatflow "+webChatflow+` ("bot") still has a key in Flowise, and the gate sends none`)
	if n := len(rows[check]); n != 3 {
		t.Errorf("rows of %s = %q, want 3", check, rows[check])
	}

	keys := strings.Replace(g.keyFile(), "    name: support-bot\n", "    name: support-bot\n    upstream_authorization: forward\n", 1)
	testkit.ReplaceFile(t, g.Keys, keys)
	if res := g.reload(t); res.status != http.StatusOK {
		t.Fatalf("reload = %d %s", res.status, res.body)
	}
	wantRow(t, runDoctor(t, exitOK, args...), check, "ok chatflows of Flowise: 3")

	rows = runDoctor(t, exitOK, args[:6]...) // without --upstream
	wantRow(t, rows, check, "look route mcp is exposed (group mcp), and the upstream may respond 401 there without the token")
}

// TestDoctorUpstreamAPI: Flowise may want a credential before it lists its chatflows.
func TestDoctorUpstreamAPI(t *testing.T) {
	t.Parallel()
	var shown atomic.Value
	guarded := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/chatflows" {
			shown.Store(r.Header.Get("Authorization"))
			if r.Header.Get("Authorization") != "Bearer the-right-one" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		fakeFlowise{[]string{webChatflow + " 1"}}.ServeHTTP(w, r)
	}))
	g := startGateWith(t, testkit.Options{Upstream: guarded.URL})
	args := []string{"--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"), "--keys", g.Keys, "--upstream", guarded.URL}
	const check = "upstream's keys"
	wantRow(t, runDoctor(t, exitOK, args...), check, "- Flowise does not tell without a credential")
	right, wrong := testkit.WriteFile(t, "flowise.key", "the-right-one\n"), testkit.WriteFile(t, "flowise.key", "the-wrong-one\n")
	wantRow(t, runDoctor(t, exitOK, append(args, "--upstream-api", "file:"+right)...), check, "look chatflow "+webChatflow)
	wantRow(t, runDoctor(t, exitFailed, append(args, "--upstream-api", "file:"+wrong)...), check, "FAULT --upstream-api: ")
	for _, value := range []string{"the-right-one", "file:", "file:/nowhere/key"} {
		if code, _, errs := flowlatch(t, append([]string{"doctor"}, append(args, "--upstream-api", value)...)...); code != exitUsage || !strings.Contains(errs, "--upstream-api") || strings.Contains(errs, "the-right-one") {
			t.Errorf("doctor --upstream-api %s = %d, %q, want wrong usage, without the value", value, code, errs)
		}
	}
}

// TestDoctorOldFlag: --key-file works for one more release.
func TestDoctorOldFlag(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	code, out, errs := flowlatch(t, "doctor", "--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"), "--key-file", g.Keys)
	if code != exitOK || !strings.Contains(out, "the gate has applied "+g.Keys) || !strings.Contains(errs, "--key-file is called --keys now") {
		t.Errorf("doctor --key-file = %d, %s%s; want 0, the file checked, and a warning", code, out, errs)
	}
}
