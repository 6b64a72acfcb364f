package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// brokenTransport is a transport that panics: at once, or after a part of a response has been read.
type brokenTransport struct {
	http.Transport
	late bool
}

func (b *brokenTransport) RoundTrip(*http.Request) (*http.Response, error) {
	if !b.late {
		panic("a bug")
	}
	body := io.MultiReader(strings.NewReader("begin"), b)
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"a/b"}}, Body: io.NopCloser(body), ContentLength: -1}, nil
}

func (b *brokenTransport) Read([]byte) (int, error) { panic("a bug") }

// TestPanicIsAnInternalError makes the gate panic before a response and in the middle of one. Both count as a 500 in log
// and metrics, and the client is told if that is still possible.
func TestPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"before the response": false, "in the middle of the response": true} {
		t.Run(name, func(t *testing.T) {
			log := &testkit.Buffer{}
			store, err := keystore.Open(testkit.WriteFile(t, "keys.yaml", "version: 1\nchatflows: [{id: "+bubbleBot+", public: true}]\n"), keystore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			registry := prometheus.NewRegistry()
			p, err := New(Options{Store: store, Upstream: &url.URL{Scheme: "http", Host: "upstream"}, Log: zerolog.New(log), Registry: registry})
			if err != nil {
				t.Fatal(err)
			}
			p.transport = &brokenTransport{late: late}
			server := httptest.NewServer(p)
			defer server.Close()
			res, err := http.Post(server.URL+"/api/v1/prediction/"+bubbleBot, "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			switch {
			case late && (res.StatusCode != 200 || string(body) != "begin" || err == nil):
				t.Errorf("response = %d %q, %v; want the beginning and a cut", res.StatusCode, body, err)
			case !late && (res.StatusCode != 500 || !strings.Contains(string(body), `"code":"internal_error"`) || !res.Close):
				t.Errorf("response = %d %q, closing %t; want 500 internal_error, and a connection that is closed", res.StatusCode, body, res.Close)
			}
			testkit.Eventually(t, "end of the request", func() bool { return p.inflight.open.Load() == 0 })
			lines := bufio.NewScanner(strings.NewReader(log.String()))
			found := 0
			for lines.Scan() {
				if line := lines.Text(); strings.Contains(line, `"message":"request"`) {
					found++
					for _, want := range []string{`"level":"error"`, `"code":"internal_error"`, `"status":500`} {
						if !strings.Contains(line, want) {
							t.Errorf("log line = %s, want %s", line, want)
						}
					}
				}
			}
			w := httptest.NewRecorder()
			promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
			for _, want := range []string{`flowlatch_denied_total{code="internal_error"} 1`, fmt.Sprintf(`flowlatch_requests_total{chatflow=%q,code="500",key="",route="prediction"} 1`, bubbleBot)} {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("metrics lack %s", want)
				}
			}
			if all, _ := p.Stats().Totals(); found != 1 || all.Failed != 1 {
				t.Errorf("log lines = %d, failed requests = %d, want one each", found, all.Failed)
			}
		})
	}
}
