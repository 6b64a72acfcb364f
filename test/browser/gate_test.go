package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gate is a running gate before an upstream that responds to everything: to the question "stream" by a stream without
// end, to "fail" by 500.
type gate struct {
	url, admin string // of its listeners
	keys       string // the key file
	upstream   *httptest.Server
	process    *os.Process
}

// start starts a gate with a key file.
func start(t *testing.T, keyFile string, args ...string) *gate {
	t.Helper()
	g := &gate{keys: filepath.Join(t.TempDir(), "keys.yaml")}
	g.write(t, keyFile)
	g.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(question), "stream"):
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: hello\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case strings.Contains(string(question), "fail"):
			w.WriteHeader(http.StatusInternalServerError)
		default:
			fmt.Fprint(w, `{"text":"Hello."}`)
		}
	}))
	t.Cleanup(g.upstream.Close)
	cmd := exec.Command(flowlatch, append([]string{"serve", "--keys", g.keys, "--upstream", g.upstream.URL, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--drain", "0s"}, args...)...)
	cmd.Env = []string{}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.process = cmd.Process
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var serving struct{ Message, Listen, Admin string }
	var said []string
	for lines := bufio.NewScanner(stderr); serving.Message != "serving"; {
		if !lines.Scan() {
			t.Fatalf("the gate ended: %s", strings.Join(said, "\n"))
		}
		said = append(said, lines.Text())
		_ = json.Unmarshal(lines.Bytes(), &serving)
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	g.url, g.admin = "http://"+serving.Listen, "http://"+serving.Admin
	return g
}

func (g *gate) write(t *testing.T, keyFile string) {
	t.Helper()
	// By rename, so that the gate never reads half a file.
	next := g.keys + ".next"
	if err := os.WriteFile(next, []byte(keyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, g.keys); err != nil {
		t.Fatal(err)
	}
}

// replace changes the key file and reloads it.
func (g *gate) replace(t *testing.T, keyFile string) {
	t.Helper()
	g.write(t, keyFile)
	res, err := http.Post(g.admin+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// call sends a question and returns the status and the open body of the response.
func (g *gate) call(t *testing.T, path, secret, question string) (int, io.ReadCloser) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader(`{"question":"`+question+`"}`))
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

const predict = "/api/v1/prediction/"

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s: no %s", what)
		}
		time.Sleep(50 * time.Millisecond) // between two checks
	}
}
