package main

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// request is the request that a curl line sends.
type request struct{ about, url, key, body string }

// assignment matches a line that sets a variable of the shell.
var assignment = regexp.MustCompile(`^([A-Z]+)='?([^']*)'?$`)

// curlLines reads the curl lines of a text, each with the comment above it and the variables set before it.
func curlLines(t *testing.T, text string) (requests []request) {
	t.Helper()
	about, variables := "", map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, "# "); ok {
			about = s
		}
		if m := assignment.FindStringSubmatch(line); m != nil {
			variables[m[1]] = m[2]
		}
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		if len(line) > 100 {
			t.Errorf("curl line %q has %d characters, want at most 100", line, len(line))
		}
		r := request{about: about}
		words := shellWords(t, line)[1:]
		for i := 0; i < len(words); i++ {
			words[i] = os.Expand(words[i], func(name string) string { return variables[name] })
		}
		for i := 0; i < len(words); i++ {
			switch w := words[i]; {
			case w == "-s" || w == "-sN":
			case w == "-H":
				i++
				if key, ok := strings.CutPrefix(words[i], "Authorization: Bearer "); ok {
					r.key = key
				} else if words[i] != "Content-Type: application/json" {
					t.Errorf("curl line %q: header %q, want the key and the content type alone", line, words[i])
				}
			case w == "-d":
				i++
				r.body = words[i]
			case r.url == "" && strings.HasPrefix(w, "http://"):
				r.url = w
			default:
				t.Errorf("curl line %q: %q is not understood by this test", line, w)
			}
		}
		requests = append(requests, r)
	}
	return requests
}

func TestDemo(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	p := start(t, []string{"TMPDIR=" + tmp}, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	testkit.Eventually(t, "demo's text", func() bool { return strings.Contains(p.Stdout.String(), "Ctrl-C") || p.Ended() })
	requests := curlLines(t, p.Stdout.String())
	page := regexp.MustCompile(`in a browser: (\S+)`).FindStringSubmatch(p.Stdout.String())[1]
	if res := send(t, http.MethodGet, page, "", ""); res.status != http.StatusOK || !strings.HasPrefix(res.header.Get("Content-Type"), "text/html") {
		t.Errorf("page of the demo at %q = %d %q, want HTML", page, res.status, res.header.Get("Content-Type"))
	}
	want := []struct {
		about  string
		status int
		body   string // some of it
	}{
		{"allowed", http.StatusOK, `"text":"You said: Hello?"`},
		{"allowed, streamed", http.StatusOK, `data:{"data":"[DONE]","event":"end"}`},
		{"no key: 401", http.StatusUnauthorized, `"code":"missing_key"`},
		{"a wrong key: 401", http.StatusUnauthorized, `"code":"invalid_key"`},
		{"a key for another chatflow: 403", http.StatusForbidden, `"code":"key_not_for_chatflow"`},
		{"what the gate knows; in a browser: " + page, http.StatusOK, `"id": "somebody-else"`},
	}
	if len(requests) != len(want) {
		t.Fatalf("curl lines of the demo = %+v, want %d", requests, len(want))
	}
	for i, want := range want {
		r, method := requests[i], http.MethodPost
		if r.body == "" {
			method = http.MethodGet
		}
		if u, err := url.Parse(r.url); err != nil || u.Port() == "0" || u.Port() == "" {
			t.Fatalf("URL of %q = %q, want the port that is listened on", r.about, r.url)
		}
		res := send(t, method, r.url, r.key, r.body)
		if r.about != want.about || res.status != want.status || !strings.Contains(res.body, want.body) {
			t.Errorf("%q = %d %q, want %q = %d with %q", r.about, res.status, res.body, want.about, want.status, want.body)
		}
		if want.about == "allowed, streamed" && (res.header.Get("Content-Type") != "text/event-stream" || strings.Count(res.body, "data:") < 4) {
			t.Errorf("%q = %q %q, want a stream of events", r.about, res.header.Get("Content-Type"), res.body)
		}
	}
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) == 0 {
		t.Errorf("temporary folder during the demo = %v, %v, want some files", entries, err)
	}
	p.WantExit(t, syscall.SIGINT)
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) > 0 {
		t.Errorf("temporary folder after the demo = %v, %v, want nothing", entries, err)
	}
	for _, r := range requests {
		if r.key != "" && strings.Contains(p.Stderr.String(), r.key) {
			t.Errorf("log of the demo has the key of %q in it", r.about)
		}
	}
}

// TestDemoPortTaken checks that the demo leaves no files behind if it cannot start.
func TestDemoPortTaken(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	tmp := t.TempDir()
	taken := strings.TrimPrefix(g.URL, "http://")
	p := start(t, []string{"TMPDIR=" + tmp}, "demo", "--listen", taken, "--admin", "127.0.0.1:0")
	if code := p.Wait(t); code != exitFailed {
		t.Errorf("demo on a port that is taken = %d, want 1", code)
	}
	if got, want := p.Stderr.String(), "\nflowlatch: --listen "+taken+": another program listens there; "; !strings.Contains(got, want) {
		t.Errorf("demo on a port that is taken = %q on stderr, want a line %q", got, want)
	}
	if got := p.Stdout.String(); got != "" {
		t.Errorf("demo on a port that is taken = %q on stdout, want nothing", got)
	}
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) > 0 {
		t.Errorf("temporary folder after the demo = %v, %v, want nothing", entries, err)
	}
}
