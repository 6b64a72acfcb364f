package proxy_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// The tests of this file each watch over one setting of the server or of the transport that could be
// taken away without any other test noticing. They use the server of Proxy.Serve.

// TestHeadTooLarge sends heads around the limit, in one header and in many.
func TestHeadTooLarge(t *testing.T) {
	s := serveGate(t, nil, time.Second)
	if a := s.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType, "X: "+strings.Repeat("x", 15<<10)); a.status != 200 {
		t.Errorf("head of 15 KiB = %d, want 200", a.status)
	}
	_, _, before := s.runner.last()
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("X-%d: y", i))
	}
	for name, headers := range map[string][]string{
		"one header":    {"X: " + strings.Repeat("x", 32<<10)},
		"many headers":  many,
		"long name":     {strings.Repeat("x", 32<<10) + ": y"},
		"folded header": {"X: y" + strings.Repeat("\r\n y", 10<<10)},
	} {
		a := s.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(headers, bearerOf(secretA), jsonType)...)
		if a.status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s = %d, want 431", name, a.status)
		}
	}
	a := s.request(t, "POST", "/"+strings.Repeat("a", 32<<10), "")
	if a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long target = %d, want 431", a.status)
	}
	if _, _, n := s.runner.last(); n != before {
		t.Errorf("%d requests too many reached the runner", n-before)
	}
}

// TestServersOwnAnswers sends what net/http would answer by itself, to the listener of callers and to
// that of the operator.
func TestServersOwnAnswers(t *testing.T) {
	s := serveGate(t, nil, time.Second)
	a := s.request(t, "OPTIONS", "*", "")
	checkProblem(t, a, 400, problem.NotCanonical)
	s.address = strings.TrimPrefix(s.adminURL, "http://")
	if a := s.request(t, "OPTIONS", "*", ""); a.status == 200 {
		t.Errorf("OPTIONS * at the admin listener = %d, want a refusal", a.status)
	}
}

// TestEncodingsAreTheCallers sees that the gate neither asks for a compressed answer by itself nor
// undoes one.
func TestEncodingsAreTheCallers(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, `{"text":"hello"}`)
	w.Close()
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(packed.Bytes())
	}, nil)
	for _, accept := range []string{"", "gzip", "identity"} {
		headers := []string{bearerOf(secretA), jsonType}
		if accept != "" {
			headers = append(headers, "Accept-Encoding: "+accept)
		}
		a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", headers...)
		r, _, _ := g.runner.last()
		if got := r.Header.Get("Accept-Encoding"); got != accept {
			t.Errorf("Accept-Encoding at the runner = %q, want %q", got, accept)
		}
		if a.body != packed.String() || a.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("answer with Content-Encoding %q = %q, want the runner's bytes as gzip", a.header.Get("Content-Encoding"), a.body)
		}
	}
}

// TestRunnersSessionsStayInside sees that an answer sets no cookie and names no other way to the
// runner, whatever its status.
func TestRunnersSessionsStayInside(t *testing.T) {
	status := 200
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := w.Header()
		h["Set-Cookie"] = []string{"a=session", "b=session"}
		h["set-cookie"] = []string{"c=session"}
		h.Set("Alt-Svc", `h3=":443"`)
		h.Set("X-Request-Id", "the-runners-own")
		h.Set("X-Kept", "1")
		w.WriteHeader(status)
	}, nil)
	for _, status = range []int{200, 204, 302, 401, 500} {
		a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		if a.status != status || a.header.Get("X-Kept") != "1" {
			t.Fatalf("answer = %d %v, want %d from the runner", a.status, a.header, status)
		}
		if head := a.head(); strings.Contains(head, "session") || strings.Contains(head, "Alt-Svc") || strings.Contains(head, "the-runners-own") {
			t.Errorf("head of the answer = %s, want no cookie, no Alt-Svc, and the gate's request ID", head)
		}
	}
}

// TestRunnersCertificate has an https runner whose authority is known, and one whose is not.
func TestRunnersCertificate(t *testing.T) {
	runner := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	log := &lockedBuffer{}
	runner.Config.ErrorLog = newLog(log)
	runner.StartTLS()
	t.Cleanup(runner.Close)
	bundle := func(certificate []byte) string {
		path := filepath.Join(t.TempDir(), "ca.pem")
		certificatetest.Write(t, path, certificate)
		return path
	}
	known := bundle(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: runner.Certificate().Raw}))
	name := strings.Replace(runner.URL, "127.0.0.1", "localhost", 1) // which is not in the certificate
	for _, tt := range []struct {
		name, url, ca string
		status        int
	}{
		{"known", runner.URL, known, 200},
		{"not among those named", runner.URL, bundle(certificatetest.New(t, "another").PEM), 502},
		{"not among the system's", runner.URL, "", 502},
		{"for another name", name, known, 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) {
				o.Upstream, o.Certificates = mustURL(t, tt.url), openCertificates(t, certificate.Files{UpstreamCA: tt.ca})
			})
			if a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType); a.status != tt.status {
				t.Errorf("answer = %d %s, want %d", a.status, a.body, tt.status)
			}
		})
	}
}

// TestDrainClosesConnections sees that no connection outlives the beginning of a drain: an idle one is
// closed, and an answer that comes during it says that it is the last.
func TestDrainClosesConnections(t *testing.T) {
	reached, answer := make(chan struct{}), make(chan struct{})
	s := serveGate(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/ping" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-answer
		_, _ = io.WriteString(w, "{}")
	}, time.Minute)
	idle := s.dial(t)
	fmt.Fprint(idle, "GET /api/v1/ping HTTP/1.1\r\nHost: gate\r\n\r\n")
	idleIn := bufio.NewReader(idle)
	if res, err := http.ReadResponse(idleIn, nil); err != nil || res.StatusCode != 200 || res.Close {
		t.Fatalf("ping = %v, %v, want 200 on a connection that stays", res, err)
	}
	busy := s.dial(t)
	fmt.Fprintf(busy, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
	<-reached
	s.stop()
	if _, err := idleIn.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection gives %v, want its end", err)
	}
	close(answer)
	res, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("answer during the drain = %v, %v, want 200 and the end of the connection", res, err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

// TestLogTellsTheOperatorWhy has the reasons that callers are not told.
func TestLogTellsTheOperatorWhy(t *testing.T) {
	made := keystore.Generate()
	last := "0"
	if strings.HasSuffix(made, last) {
		last = "1"
	}
	for _, tt := range []struct{ name, key, reason string }{
		{"mistyped", made[:len(made)-1] + last, "mistyped key: wrong checksum"},
		{"cut", made[:20], "mistyped key: wrong checksum"},
		{"unknown", made, "unknown key"},
		{"of somebody else's make", "not-a-key-0123456789", "unknown key"},
		{"expired", secretExpired, "key has expired"},
		{"disabled", secretDisabled, "key is disabled"},
		{"not valid yet", secretFuture, "key is not valid yet"},
		{"malformed", "a b", "malformed bearer token"},
		{"another chatflow's", secretB, "key is not listed for the chatflow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(tt.key), jsonType)
			eventually(t, "the log line", func() bool { return strings.Contains(g.log.String(), "\n") })
			if !strings.Contains(g.log.String(), `"reason":"`+tt.reason+`"`) {
				t.Errorf("log = %s, want the reason %q", g.log, tt.reason)
			}
			if tt.key != secretB && (a.problem.Detail != "this API key is not valid" || strings.Contains(a.head()+a.body, tt.reason)) {
				t.Errorf("the caller is told %s, want the same as for any key", a.body)
			}
		})
	}
}
