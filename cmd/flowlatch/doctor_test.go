package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// runDoctor runs the command and returns its rows by check, each as "RESULT text".
func runDoctor(t *testing.T, wantCode int, args ...string) map[string][]string {
	t.Helper()
	code, out, errs := flowlatch(t, append([]string{"doctor"}, args...)...)
	if code != wantCode {
		t.Fatalf("exit code = %d, want %d\n%s%s", code, wantCode, out, errs)
	}
	rows := map[string][]string{}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) < 2 {
		t.Fatalf("no table: %s%s", out, errs)
	}
	result, text := strings.Index(lines[0], "RESULT"), strings.Index(lines[0], "WHAT")
	for _, line := range lines[1:] {
		check := strings.TrimSpace(line[:result])
		rows[check] = append(rows[check], strings.TrimSpace(line[result:text])+" "+line[text:])
	}
	return rows
}

// wantRow fails the test unless a check has a row with the result and the text.
func wantRow(t *testing.T, rows map[string][]string, check, row string) {
	t.Helper()
	prefix, text, _ := strings.Cut(row, " ")
	for _, r := range rows[check] {
		if strings.HasPrefix(r, prefix+" ") && strings.Contains(r, text) {
			return
		}
	}
	t.Errorf("rows of %q = %q, want one that is %q", check, rows[check], row)
}

// TestDoctorBeforeAGate examines a gate without holes. None of doctor's requests may reach the upstream.
func TestDoctorBeforeAGate(t *testing.T) {
	t.Parallel()
	runner := newEcho()
	g := startGate(t, runner)
	rows := runDoctor(t, 0, "--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"), "--keys", g.Keys)
	if n := len(runner.requests); n != 0 {
		t.Errorf("%d requests of the doctor reached the runner, want none", n)
	}
	wantRow(t, rows, "gate", "ok flowlatch answers at "+g.URL)
	wantRow(t, rows, "spellings", "ok none of ")
	wantRow(t, rows, "around the gate", "- name the upstream")
	wantRow(t, rows, "admin listener", "ok it answers at ")
	wantRow(t, rows, "active keys", "ok keys: 2, chatflows: 2, generation: 1")
	wantRow(t, rows, "key file", "ok keys: 2, chatflows: 2")

	if err := os.WriteFile(g.Keys, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	send(t, http.MethodPost, g.Admin+"/-/reload", "", "")
	rows = runDoctor(t, 1, "--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"))
	wantRow(t, rows, "active keys", "OPEN the key file is invalid")
}

// prefixGuard is a gate as people often write it: it asks for a key if the decoded path begins with that of
// predictions, and forwards everything else.
func prefixGuard(runner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v1/prediction/") && r.Header.Get("Authorization") != "Bearer good" {
			http.Error(w, "no key", http.StatusUnauthorized)
			return
		}
		runner.ServeHTTP(w, r)
	})
}

// TestDoctorBeforeAnotherGate examines gates that have holes.
func TestDoctorBeforeAnotherGate(t *testing.T) {
	t.Parallel()
	runner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(strings.ToLower(r.URL.Path), "prediction") { // an error response like Flowise's
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"statusCode":404,"success":false,"message":"Chatflow not found","stack":{}}`)
			return
		}
		fmt.Fprint(w, "<!DOCTYPE html>")
	})
	for name, tt := range map[string]struct {
		gate http.Handler
		want []string
	}{
		"none at all":    {runner, []string{"OPEN POST /api/v1/prediction/", "OPEN POST /api/v1/%70rediction/", "OPEN and "}},
		"a prefix guard": {prefixGuard(runner), []string{"OPEN POST /api/v1/%2570rediction/", "OPEN POST /api/v1//prediction/", "OPEN and "}},
		"one that tries": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, `{"type":"https://github.com/flowlatch/flowlatch/blob/main/docs/errors.md#upstream_unreachable","code":"upstream_unreachable"}`)
		}), []string{"OPEN POST /api/v1/prediction/"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(tt.gate)
			defer srv.Close()
			rows := runDoctor(t, 1, "--url", srv.URL)
			for _, want := range tt.want {
				wantRow(t, rows, "spellings", want)
			}
		})
	}
}

// TestDoctorAroundTheGate examines a gate whose upstream and admin listener can be reached by others.
func TestDoctorAroundTheGate(t *testing.T) {
	t.Parallel()
	own := ownAddress(t)
	l, err := net.Listen("tcp", net.JoinHostPort(own, "0"))
	if err != nil {
		t.Fatal(err)
	}
	runner := &httptest.Server{Listener: l, Config: &http.Server{Handler: newEcho(), ReadHeaderTimeout: time.Minute}}
	runner.Start()
	defer runner.Close()
	g := startGate(t, newEcho(), "--admin", net.JoinHostPort(own, "0"))
	admin := strings.TrimPrefix(g.Admin, "http://")
	rows := runDoctor(t, 1, "--url", g.URL, "--upstream", runner.URL, "--admin", admin)
	wantRow(t, rows, "around the gate", "OPEN "+runner.URL+" answers here")
	wantRow(t, rows, "admin listener", "OPEN it answers at "+admin)
	wantRow(t, rows, "spellings", "ok none")

	local, err := url.Parse(runner.URL)
	if err != nil {
		t.Fatal(err)
	}
	rows = runDoctor(t, 1, "--url", g.URL, "--upstream", "http://127.0.0.1:"+local.Port(), "--admin", admin)
	wantRow(t, rows, "around the gate", "OPEN the upstream answers at "+local.Host+" too")
}

// ownAddress returns an address of this machine that is not loopback.
func ownAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// TestDoctorKeyFile examines a key file that is valid but has oddities.
func TestDoctorKeyFile(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	path := filepath.Join(testkit.PublicDir(t), "its keys.yaml") // a command that is suggested has it in quotes
	testkit.ReplaceFile(t, path, `version: 1
keys:
  - {id: plain, secret: `+keystore.Generate()+`}
  - {id: idle, sha256: `+keystore.DigestOf("1").String()+`}
  - {id: ending, sha256: `+keystore.DigestOf("2").String()+`, not_after: `+soon+`}
  - {id: ended, sha256: `+keystore.DigestOf("3").String()+`, not_after: 2020-01-01T00:00:00Z}
chatflows:
  - {id: `+webChatflow+`, keys: [plain, ending, ended]}
  - {id: `+batchChatflow+`, name: open-bot, public: true}
  - {id: "*", keys: [plain]}
`)
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", path)
	g := testkit.Serving(t, p)
	args := []string{"--url", g.URL, "--admin", strings.TrimPrefix(g.Admin, "http://"), "--keys", path}
	rows := runDoctor(t, 0, args...)
	for _, want := range []string{
		"look key idle opens no chatflow (line 4)", "look key ending expires at " + soon + "; `flowlatch key rotate --keys '" + path + "' --id ending` makes its next secret", "look key ended expired at 2020",
		"look chatflow open-bot asks for no key (line 9", `look keys that open every chatflow, also those made tomorrow (line 10: "*"): 1`, "look keys in plain text: 1",
		`ok keys: 4, chatflows: 2 and "*"`,
	} {
		wantRow(t, rows, "key file", want)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	wantRow(t, runDoctor(t, 1, args...), "key file", "OPEN keys in plain text: 1; every user of this machine can read the file (`chmod o-r '"+path+"'` ends that)")
	if err := os.WriteFile(path, []byte("version: 1\nkeys: [}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRow(t, runDoctor(t, 1, args...), "key file", "OPEN its keys.yaml:2")
}

func TestDoctorUsage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no URL":          {nil, exitUsage, "--url"},
		"malformed URL":   {[]string{"--url", "gate:8080"}, exitUsage, `--url: "gate:8080": want a URL, which begins with http:// or https://, as in http://gate:8080`},
		"nobody there":    {[]string{"--url", "http://127.0.0.1:1"}, exitFailed, "is the gate running"},
		"malformed admin": {[]string{"--url", "http://127.0.0.1:1", "--admin", "9901"}, exitUsage, "--admin"},
		"malformed runner": {
			[]string{"--url", "http://127.0.0.1:1", "--upstream", "ftp://x"}, exitUsage, "--upstream",
		},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := flowlatch(t, append([]string{"doctor"}, tt.args...)...)
			if code != tt.code || !strings.Contains(errs, tt.want) || out != "" {
				t.Errorf("exit code %d, %q, %q; want %d, nothing, %q", code, out, errs, tt.code, tt.want)
			}
		})
	}
}

// TestDoctorWithoutResponse: doctor gives up after its first request if something listens but does not respond.
func TestDoctorWithoutResponse(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"nothing":          "",
		"half a header":    "HTTP/1.1 401 Unauth",
		"an early hint":    "HTTP/1.1 103 Early Hints\r\n\r\n",
		"half a body":      "HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{",
		"an endless reply": "HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			hang := make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, begin)
				<-hang
			}))
			defer srv.Close()
			defer close(hang)
			code, out, errs := flowlatch(t, "doctor", "--url", srv.URL)
			if want := srv.URL + " does not respond within 5s"; code != exitFailed || out != "" || !strings.Contains(errs, want) {
				t.Errorf("exit code %d, %q, %q; want %d, nothing, %q", code, out, errs, exitFailed, want)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("doctor sent %d requests, want 1", n)
			}
		})
	}
}

// TestDoctorBeforeHalfAGate has a proxy that sends only the exact path of predictions to the gate, and everything else
// to a Flowise with a login. Refusals then come from Express and from Flowise.
func TestDoctorBeforeHalfAGate(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.RequestURI, "/api/v1/prediction/") || strings.HasPrefix(r.RequestURI, "/flowlatch") {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"type":"https://github.com/flowlatch/flowlatch/blob/main/docs/errors.md#missing_key","code":"missing_key"}`)
			return
		}
		reached.Add(1)
		if strings.Contains(r.URL.Path, "prediction") {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<pre>Cannot POST</pre>")
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"Unauthorized Access"}`)
	}))
	defer srv.Close()
	code, out, _ := flowlatch(t, "doctor", "--url", srv.URL)
	if code != 1 {
		t.Errorf("exit code = %d, want 1: %d requests reached the runner\n%s", code, reached.Load(), out)
	}
}

// TestDoctorBeforeAPrefix examines a gate whose clients put a prefix before every path, with the prefix in --url and
// without.
func TestDoctorBeforeAPrefix(t *testing.T) {
	t.Parallel()
	runner := newEcho()
	g := startGate(t, runner, "--path-prefix", "/chat")
	admin := strings.TrimPrefix(g.Admin, "http://")
	rows := runDoctor(t, 0, "--url", g.URL+"/chat", "--admin", admin, "--keys", g.Keys)
	wantRow(t, rows, "path prefix", "ok clients put /chat before every path")
	wantRow(t, rows, "spellings", "ok none of ")
	wantRow(t, rows, "--keys", "ok ")

	rows = runDoctor(t, 1, "--url", g.URL, "--admin", admin)
	wantRow(t, rows, "path prefix", "FAULT clients put /chat before every path, and --url does not end with that, so nothing was proved; ask again with --url "+g.URL+"/chat")
	_, out, _ := flowlatch(t, "doctor", "--url", g.URL) // fails if another gate has its admin listener at the default address
	if want := "look    the gate has no route for /api/v1/prediction/ID below " + g.URL; !strings.Contains(out, want) {
		t.Errorf("doctor = %s, want %q", out, want)
	}
	if n := len(runner.requests); n != 0 {
		t.Errorf("%d requests of the doctor reached the runner, want none", n)
	}
}
