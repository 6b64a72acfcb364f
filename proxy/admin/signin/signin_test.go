package signin_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	token = "0123456789abcdef0123456789abcdef"
	other = "fedcba9876543210fedcba9876543210"
)

// door is a Door with a clock that stands still, and with its log.
type door struct {
	*signin.Door
	path string
	log  *testkit.Buffer

	mu  sync.Mutex
	now time.Time
}

func open(t *testing.T) *door {
	t.Helper()
	d := &door{path: testkit.WriteFile(t, "admin.token", token+"\n"), log: &testkit.Buffer{}, now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	var err error
	d.Door, err = signin.Open(signin.Options{File: d.path, Poll: 10 * time.Millisecond, Log: zerolog.New(d.log), Now: func() time.Time {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *door) wait(time time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(time)
}

// request returns a request to the admin listener on this machine, with headers given as "Name: value".
func request(headers ...string) *http.Request {
	r := httptest.NewRequest("POST", "http://127.0.0.1:9901/console/", http.NoBody)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// signIn signs in and returns the Cookie header of later requests; empty if that was refused.
func (d *door) signIn(t *testing.T, r *http.Request, token string) string {
	t.Helper()
	w := httptest.NewRecorder()
	session, refusal := d.SignIn(w, r, token)
	cookies := w.Result().Cookies()
	if (session == nil) != (refusal != nil) || (session == nil) != (len(cookies) == 0) {
		t.Fatalf("SignIn = %v, %v with %d cookies, want a session and a cookie, or a refusal and none", session, refusal, len(cookies))
	}
	if session == nil {
		return ""
	}
	return "Cookie: " + cookies[0].Name + "=" + cookies[0].Value
}

func TestBearer(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tt := range []struct {
		name    string
		headers []string
		ok      bool
	}{
		{"the token", []string{"Authorization: Bearer " + token}, true},
		{"scheme in lower case", []string{"Authorization: bearer " + token}, true},
		{"none", nil, false},
		{"empty", []string{"Authorization: Bearer "}, false},
		{"another", []string{"Authorization: Bearer " + other}, false},
		{"its beginning", []string{"Authorization: Bearer " + token[:31]}, false},
		{"with more behind it", []string{"Authorization: Bearer " + token + "0"}, false},
		{"with a line break", []string{"Authorization: Bearer " + token + "\n"}, false},
		{"two blanks", []string{"Authorization: Bearer  " + token}, false},
		{"no scheme", []string{"Authorization: " + token}, false},
		{"Basic", []string{"Authorization: Basic " + token}, false},
		{"twice", []string{"Authorization: Bearer " + token, "Authorization: Bearer " + token}, false},
		{"as a cookie", []string{"Cookie: flowlatch-admin=" + token}, false},
	} {
		if refusal := d.Bearer(request(tt.headers...)); (refusal == nil) != tt.ok {
			t.Errorf("%s: Bearer = %v, want let in: %t", tt.name, refusal, tt.ok)
		}
	}
}

// TestSession signs in, waits, signs out and replays cookies.
func TestSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	first := d.signIn(t, request(), token)
	if s := d.Session(request(first)); s == nil {
		t.Fatal("a session that has just begun = none")
	}
	for name, cookie := range map[string]string{
		"none": "A: b", "empty": "Cookie: flowlatch-admin=", "the token": "Cookie: flowlatch-admin=" + token,
		"twice": first + "; " + strings.TrimPrefix(first, "Cookie: "), "one letter less": first[:len(first)-1], "lower case": strings.ToLower(first),
	} {
		if d.Session(request(cookie)) != nil {
			t.Errorf("session of a cookie, %s = one, want none", name)
		}
	}
	d.wait(signin.Idle - time.Second)
	if d.Session(request(first)) == nil {
		t.Error("a session that was used a moment less than 30 min ago = none")
	}
	d.wait(signin.Idle - time.Second)
	if d.Session(request(first)) == nil {
		t.Error("use did not keep the session")
	}
	d.wait(signin.Idle)
	if d.Session(request(first)) != nil {
		t.Error("a session that was not used for 30 min goes on")
	}
	second := d.signIn(t, request(), token)
	third := d.signIn(t, request(second), token)
	if second == third || d.Session(request(second)) != nil {
		t.Error("signing in again kept the old session")
	}
	w := httptest.NewRecorder()
	d.SignOut(w, request(third))
	if d.Session(request(third)) != nil {
		t.Error("a cookie is good after signing out")
	}
	if c := w.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("cookies of signing out = %v, want one that deletes", c)
	}
	fourth := d.signIn(t, request(), token)
	for range 30 { // however busy
		d.wait(25 * time.Minute)
		d.Session(request(fourth))
	}
	if d.Session(request(fourth)) != nil {
		t.Error("a session lasts for more than 12 h")
	}
	if log := d.log.String(); strings.Contains(log, token) || strings.Contains(log, strings.TrimPrefix(first, "Cookie: flowlatch-admin=")) {
		t.Errorf("the log has a token or a cookie in it: %s", log)
	}
}

// TestSessionsAreFew begins more sessions than there may be.
func TestSessionsAreFew(t *testing.T) {
	t.Parallel()
	d := open(t)
	first := d.signIn(t, request(), token)
	d.wait(time.Second)
	second := d.signIn(t, request(), token)
	for range 63 {
		d.wait(time.Second)
		d.signIn(t, request(), token)
		d.Session(request(first)) // in use
	}
	if d.Session(request(first)) == nil || d.Session(request(second)) != nil {
		t.Error("of 65 sessions, want the one ended that was used least recently")
	}
}

// TestNote takes a note once.
func TestNote(t *testing.T) {
	t.Parallel()
	d := open(t)
	cookie := d.signIn(t, request(), token)
	d.Session(request(cookie)).Leave("a secret")
	if got := d.Session(request(cookie)).Take(); got != "a secret" {
		t.Errorf("Take = %v, want what was left", got)
	}
	if got := d.Session(request(cookie)).Take(); got != nil {
		t.Errorf("second Take = %v, want nothing", got)
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tt := range []struct {
		name, host, origin string
		want               string // the cookie without its value; empty if nobody can sign in
	}{
		{"IPv4", "127.0.0.1:9901", "http://127.0.0.1:9901", "flowlatch-admin; Path=/console/; HttpOnly; SameSite=Strict"},
		{"IPv6", "[::1]:9901", "http://[::1]:9901", "flowlatch-admin; Path=/console/; HttpOnly; SameSite=Strict"},
		{"localhost", "localhost:9901", "", "flowlatch-admin; Path=/console/; HttpOnly; SameSite=Strict"},
		{"a name below localhost", "gate.localhost", "", "flowlatch-admin; Path=/console/; HttpOnly; SameSite=Strict"},
		{"HTTPS", "gate.internal", "https://gate.internal", "__Host-flowlatch-admin; Path=/; HttpOnly; Secure; SameSite=Strict"},
		{"HTTP by the address of a pod", "10.1.2.3:9901", "http://10.1.2.3:9901", ""},
		{"HTTP by a name", "flowlatch:9901", "http://flowlatch:9901", ""},
		{"localhost as a part of a name", "localhost.internal", "", ""},
		{"no origin", "gate.internal", "null", ""},
	} {
		r := request("Origin: " + tt.origin)
		r.Host = tt.host
		if got := signin.CanSignIn(r); got != (tt.want != "") {
			t.Errorf("%s: CanSignIn = %t, want %t", tt.name, got, tt.want != "")
		}
		if tt.want == "" {
			continue
		}
		w := httptest.NewRecorder()
		if _, refusal := d.SignIn(w, r, token); refusal != nil {
			t.Fatal(refusal)
		}
		name, rest, _ := strings.Cut(w.Header().Get("Set-Cookie"), "=")
		_, attributes, _ := strings.Cut(rest, "; ")
		if got := name + "; " + attributes; got != tt.want {
			t.Errorf("%s: cookie = %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestGuessing tries many tokens from one address. From then on it gets 429, the number of log lines is limited, and
// the right token is still accepted.
func TestGuessing(t *testing.T) {
	t.Parallel()
	d := open(t)
	limited := 0
	for i := range 10_000 {
		_, refusal := d.SignIn(httptest.NewRecorder(), request(), fmt.Sprintf("%032d", i))
		if refusal == nil {
			t.Fatalf("token %d = let in", i)
		}
		if refusal.RetryAfter > 0 {
			limited++
		}
	}
	if limited < 9_900 {
		t.Errorf("tries that were told to wait = %d of 10000, want all but 30 and those of the time that went by", limited)
	}
	if lines := strings.Count(d.log.String(), "\n"); lines > 100 {
		t.Errorf("log lines = %d, want those of the first tries only", lines)
	}
	if d.signIn(t, request(), token) == "" {
		t.Error("the right token is refused after many wrong ones")
	}
	elsewhere := request("Authorization: Bearer " + other)
	elsewhere.RemoteAddr = "203.0.113.9:4711"
	if refusal := d.Bearer(elsewhere); refusal == nil || refusal.RetryAfter > 0 {
		t.Errorf("a wrong token from another address = %+v, want refused without waiting", refusal)
	}
}

// TestChangedToken changes the file while there is a session.
func TestChangedToken(t *testing.T) {
	t.Parallel()
	d := open(t)
	cookie := d.signIn(t, request(), token)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); d.Run(ctx) }()
	defer func() { stop(); <-ended }()
	in := func(token string) bool { return d.Bearer(request("Authorization: Bearer "+token)) == nil }

	testkit.ReplaceFile(t, d.path, "short\n")
	testkit.Eventually(t, "complaint of a token that is too short", func() bool { return strings.Contains(d.log.String(), "the last good one stays valid") })
	if !in(token) || d.Session(request(cookie)) == nil {
		t.Error("a bad file took the token away, want the last good one kept")
	}
	testkit.ReplaceFile(t, d.path, other)
	testkit.Eventually(t, "new token", func() bool { return in(other) })
	if in(token) || d.Session(request(cookie)) != nil {
		t.Error("the old token, or its session, goes on")
	}
	testkit.ReplaceFile(t, d.path, token)
	testkit.Eventually(t, "first token again", func() bool { return in(token) })
	if n := strings.Count(d.log.String(), "the last good one stays valid"); n != 1 {
		t.Errorf("complaints = %d, want 1", n)
	}
}

// TestHalfToken writes a new token in place, in two parts, of which the first would itself be a valid token.
func TestHalfToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		in := func(token string) bool { return d.Bearer(request("Authorization: Bearer "+token)) == nil }
		for _, part := range []string{other, other + other} {
			if err := os.WriteFile(d.path, []byte(part), 0o600); err != nil {
				t.Fatal(err)
			}
			if d.Look(); !in(token) || in(part) {
				t.Errorf("a token of %d characters, while it is written, is valid: %t, and the last good one: %t", len(part), in(part), in(token))
			}
		}
		time.Sleep(watch.SettleTime)
		if d.Look(); in(token) || in(other) || !in(other+other) {
			t.Error("the new token is not the one that is valid once it has been written")
		}
	})
}

func TestReadToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, content, want string }{
		{"hexadecimal", token, ""},
		{"with blanks around it", "\n  " + token + "\r\n", ""},
		{"base64", "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASM+/w==", ""},
		{"empty", "", "has 0 characters, want at least 32; `openssl rand -hex 32`"},
		{"short", token[:31], "has 31 characters"},
		{"two lines", token + "\n" + token, "something else than one line"},
		{"a word too much", "token " + token, "something else than one line"},
		{"not ASCII", strings.Repeat("ü", 32), "something else than one line"},
		{"large", strings.Repeat("a", 5000), "larger than 4 KiB"},
	} {
		_, err := signin.ReadToken(testkit.WriteFile(t, "admin.token", tt.content))
		if got := fmt.Sprint(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%s: ReadToken = %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && bytes.Contains([]byte(err.Error()), []byte(token)) {
			t.Errorf("%s: the error shows the token: %v", tt.name, err)
		}
	}
	if _, err := signin.Open(signin.Options{File: t.TempDir() + "/missing"}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Open without a file = %v, want an error", err)
	}
	if d, err := signin.Open(signin.Options{File: testkit.WriteFile(t, "admin.token", token), Failures: proxy.FailureLimit{Burst: 1, Per: time.Hour}}); err != nil || d.Bearer(request()) == nil {
		t.Errorf("Open = %v, want a door that lets nobody in without a token", err)
	}
}
