package manifests

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const examplesOrigin = "http://127.0.0.1:8000"

// examples are the sites of deploy/examples: what serves the page, and what is in front of it and the gate.
var examples = []struct {
	name, server, front string
}{
	{"node behind nginx", "node", "nginx"},
	{"python behind caddy", "python", "caddy"},
	{"php behind nginx", "php", "nginx"},
}

// TestExamples starts each site as deploy/examples/README.md says, with other ports, and visits it as a browser does: without
// signing in, with the wrong password, and signed in, by token and by cookie.
func TestExamples(t *testing.T) {
	upstream := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/prediction/"+chatflow || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
			http.Error(w, "not what the upstream should get: "+r.URL.Path, http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(w, `{"text":"hello"}`)
	}))
	keys := `version: 1
keys:
  - id: acme-web
    secret: ` + secret + `
    browser: {origins: [` + examplesOrigin + `], cookie: true}
chatflows:
  - {id: ` + chatflow + `, keys: [acme-web]}
`
	gate := testkit.Serve(t, testkit.Options{Keys: keys, Upstream: upstream.URL, Args: []string{
		"--expose", "predict,widget", "--path-prefix", "/chat", "--public-url", examplesOrigin, "--trusted-proxies", "127.0.0.1",
	}})
	for _, tt := range examples {
		t.Run(tt.name, func(t *testing.T) {
			address := freeAddress(t)
			site := startFront(t, tt.front, address, strings.TrimPrefix(gate.URL, "http://"))
			startServer(t, tt.server, address, gate.URL+"/chat")
			v := visitor{t: t, site: site}
			testkit.Eventually(t, "site", func() bool { return v.status("GET", "/", "") == http.StatusOK })
			v.tries()

			alone := freeAddress(t)
			startServer(t, tt.server, alone, "http://"+freeAddress(t)) // where there is no gate
			v = visitor{t: t, site: "http://" + alone}
			testkit.Eventually(t, "site", func() bool { return v.status("GET", "/", "") == http.StatusOK })
			breakOff(t, alone)
			v.signIn()
			v.want(502, "POST", "/chat-token", "")
		})
	}
}

// breakOff begins to sign in and leaves in the middle of the form, which must not end the server.
func breakOff(t *testing.T, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /login HTTP/1.1\r\nHost: "+address+"\r\nContent-Length: 100\r\n\r\nuser=j")
	if err = errors.Join(err, conn.(*net.TCPConn).CloseWrite(), conn.SetReadDeadline(time.Now().Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(conn) // until the server has noticed, in whatever way it closes
}

// tool returns the path of a program. If it is not installed, the test fails in CI and is skipped elsewhere.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startServer starts what serves the page.
func startServer(t *testing.T, language, address, gate string) {
	t.Helper()
	dir := filepath.Join(testkit.Root(t), "deploy", "examples")
	_, port, _ := net.SplitHostPort(address)
	env := []string{"KEY_FILE=" + testkit.WriteFile(t, "acme-web.secret", secret+"\n"), "PASSWORD=let me in", "GATE=" + gate, "PORT=" + port, "PYTHONDONTWRITEBYTECODE=1"}
	switch language {
	case "node":
		testkit.Start(t, tool(t, "node"), env, dir+"/node/server.mjs")
	case "python":
		testkit.Start(t, tool(t, "python3"), env, dir+"/python/server.py")
	case "php":
		testkit.Start(t, tool(t, "php"), env, "-S", address, dir+"/php/index.php")
	}
}

// startFront starts a web server by its file in deploy/examples, with other addresses, and returns the URL of the site.
func startFront(t *testing.T, name, server, gate string) string {
	t.Helper()
	path, site := tool(t, name), freeAddress(t)
	file := map[string]string{"nginx": "examples/nginx/site.conf", "caddy": "examples/caddy/Caddyfile"}[name]
	text := readFile(t, file)
	for old, address := range map[string]string{"127.0.0.1:8000": site, "127.0.0.1:8080": gate, "127.0.0.1:3001": server} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("%s has %s %d times, want once", file, old, strings.Count(text, old))
		}
		text = strings.Replace(text, old, address, 1)
	}
	if name == "caddy" {
		testkit.Start(t, path, []string{"HOME=" + t.TempDir(), "CADDY_ADMIN=off"}, "run", "--config", testkit.WriteFile(t, "Caddyfile", text), "--adapter", "caddyfile")
		return "http://" + site
	}
	dir := t.TempDir()
	conf := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		conf += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	testkit.Start(t, path, nil, "-c", testkit.WriteFile(t, "nginx.conf", conf+text+"}\n"), "-p", dir)
	return "http://" + site
}

// visitor is a browser on the page of a site.
type visitor struct {
	t      *testing.T
	site   string
	cookie string
}

// do sends a request as the page does, with headers in turn.
func (v *visitor) do(method, path, body string, headers ...string) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.site+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	if method == http.MethodPost {
		req.Header.Set("Origin", examplesOrigin)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != "" {
		req.Header.Set("Cookie", v.cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{
		Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return &http.Response{Header: http.Header{}}, err.Error() // it does not listen yet, or its neighbor does not
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res, string(b)
}

func (v *visitor) status(method, path, body string, headers ...string) int {
	v.t.Helper()
	res, text := v.do(method, path, body, headers...)
	if strings.Contains(text, secret) {
		v.t.Errorf("%s %s tells the key", method, path)
	}
	return res.StatusCode
}

// want wants a status.
func (v *visitor) want(want int, method, path, body string, headers ...string) {
	v.t.Helper()
	if got := v.status(method, path, body, headers...); got != want {
		v.t.Errorf("%s %s %q with %q = %d, want %d", method, path, body, headers, got, want)
	}
}

var scriptSource = regexp.MustCompile(`<script src="([^"]+)"`)

const signInForm = "user=jane&password="

// signIn signs in with the right password.
func (v *visitor) signIn() {
	v.t.Helper()
	res, _ := v.do("POST", "/login", signInForm+"let+me+in")
	set, _ := http.ParseSetCookie(res.Header.Get("Set-Cookie"))
	if res.StatusCode != http.StatusSeeOther || set == nil || !set.HttpOnly || !set.Secure || set.SameSite != http.SameSiteLaxMode {
		v.t.Fatalf("response to the right password = %d %v, want 303 and a safe cookie", res.StatusCode, res.Header)
	}
	v.cookie = set.Name + "=" + set.Value
}

// tries does what the page and its visitor do.
func (v *visitor) tries() {
	v.t.Helper()
	res, page := v.do("GET", "/", "")
	m := scriptSource.FindStringSubmatch(page)
	if m == nil || !strings.Contains(page, chatflow) || !strings.Contains(page, `data-token="/chat-token"`) || res.Header.Get("Content-Security-Policy") != "frame-ancestors 'none'" {
		v.t.Fatalf("page = %v %s, want the script line, and to be in no frame", res.Header, page)
	}
	v.want(200, "GET", m[1], "")
	const path, question = "/chat/api/v1/prediction/" + chatflow, `{"question":"hello"}`
	asJSON := []string{"Content-Type", "application/json"}
	v.want(401, "POST", "/chat-token", "")
	v.want(401, "POST", path, question, asJSON...)
	v.want(401, "POST", "/login", signInForm+"guess")
	v.want(401, "POST", "/login", signInForm)

	v.signIn()
	res, text := v.do("POST", "/chat-token", "")
	var got struct {
		Token   string
		Expires int64 `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Token == "" || res.Header.Get("Date") == "" || res.Header.Get("Cache-Control") != "no-store" {
		v.t.Fatalf("token = %d %v %s, %v, want one, and not to be stored", res.StatusCode, res.Header, text, err)
	}
	if left := time.Until(time.Unix(got.Expires, 0)); left < 9*time.Minute || left > 10*time.Minute {
		v.t.Errorf("the token ends in %v, want 10 minutes", left)
	}
	bearer := slices.Concat(asJSON, []string{"Authorization", "Bearer " + got.Token})
	v.want(200, "POST", path, question, bearer...)
	v.want(403, "POST", path, question, slices.Concat(bearer, []string{"Origin", "https://evil.example"})...)

	res, text = v.do("POST", "/chat/-/session", "", "Authorization", "Bearer "+got.Token)
	session, _ := http.ParseSetCookie(res.Header.Get("Set-Cookie"))
	if session == nil || session.Name != "__Host-flowlatch" {
		v.t.Fatalf("session = %d %v %s, want the cookie", res.StatusCode, res.Header, text)
	}
	v.cookie += "; " + session.Name + "=" + session.Value
	v.want(200, "POST", path, question, asJSON...)
	v.want(401, "POST", path, question, slices.Concat(asJSON, []string{"Sec-Fetch-Site", "same-site"})...)
}
