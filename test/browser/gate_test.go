package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// gate is a running flowlatch. Its upstream responds to everything; a question with "stream" in it gets a stream that does not
// end by itself, one with "fail" status 500,
// one with "locked" status 401.
type gate struct {
	*testkit.Gate
	upstream *httptest.Server
}

// start starts a gate with a key file.
func start(t *testing.T, keyFile string, args ...string) *gate {
	t.Helper()
	upstream := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(question), "stream"):
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: hello\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case strings.Contains(string(question), "fail"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.Contains(string(question), "locked"):
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, `{"text":"Hello."}`)
		}
	}))
	return &gate{testkit.Serve(t, testkit.Options{
		Program: testkit.Build(t, "-ldflags=-X main.version=0.0.0"), Keys: keyFile, Upstream: upstream.URL, Args: append([]string{"--drain", "0s"}, args...),
	}), upstream}
}

// replace replaces the key file and has the gate reload it.
func (g *gate) replace(t *testing.T, keyFile string) {
	t.Helper()
	testkit.ReplaceFile(t, g.Keys, keyFile)
	res, err := http.Post(g.Admin+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// call sends a question and returns the status and the open body of the response.
func (g *gate) call(t *testing.T, path, secret, question string) (int, io.ReadCloser) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+path, strings.NewReader(`{"question":"`+question+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Body
}

// ask sends a question and wants a status of the response.
func (g *gate) ask(t *testing.T, path, secret, question string, want int) {
	t.Helper()
	status, body := g.call(t, path, secret, question)
	body.Close()
	if status != want {
		t.Errorf("POST %s = %d, want %d", path, status, want)
	}
}

// refused sends a question that is refused, and returns its request ID.
func (g *gate) refused(t *testing.T, path, secret string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("POST %s = %d, want 401", path, res.StatusCode)
	}
	return res.Header.Get("X-Request-Id")
}

const predict = "/api/v1/prediction/"
