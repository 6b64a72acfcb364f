//go:build image

package image

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const (
	chatflow = "3f1c2a9e-1111-4222-8333-444455556666"
	user     = 65532
)

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// post sends the gate at an address a prediction, and returns the open response.
func post(t *testing.T, addr, secret, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/api/v1/prediction/"+chatflow, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		t.Cleanup(func() { res.Body.Close() })
	}
	return res, err
}

func status(t *testing.T, addr, secret string) int {
	t.Helper()
	res, err := post(t, addr, secret, `{"question":"Hello?"}`)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// TestRun runs the image as users do: without privileges, on a read-only file system, with a directory of keys that changes
// outside.
func TestRun(t *testing.T) {
	b := built{"localhost/flowlatch-test:run", "linux/" + runtime.GOARCH, "docker", "1"}
	b.build(t, filepath.Join("..", ".."))
	how := runners(t, b)

	got := b.inspect(t).Docker.Config
	want := config{
		User: "65532:65532", ExposedPorts: map[string]struct{}{"8080/tcp": {}}, Entrypoint: []string{"/flowlatch"}, Cmd: []string{"serve"},
		Labels: map[string]string{
			"org.opencontainers.image.title":         "flowlatch",
			"org.opencontainers.image.description":   "A gate that puts a key on every chatflow of a flow runner such as Flowise",
			"org.opencontainers.image.source":        "https://github.com/flowlatch/flowlatch",
			"org.opencontainers.image.documentation": "https://github.com/flowlatch/flowlatch/blob/main/README.md",
			"org.opencontainers.image.licenses":      "Apache-2.0",
			"org.opencontainers.image.version":       version,
			"org.opencontainers.image.revision":      revision,
			"org.opencontainers.image.created":       date,
		},
	}
	want.Healthcheck.Test = []string{"CMD", "/flowlatch", "healthcheck"}
	want.Healthcheck.Interval, want.Healthcheck.Timeout, want.Healthcheck.StartPeriod = 10*time.Second, 4*time.Second, 5*time.Second
	delete(got.Labels, "io.buildah.version")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config of the image (-want +got):\n%s", diff)
	}

	for _, c := range how {
		t.Run(c.String(), func(t *testing.T) { tryImage(t, c) })
	}
}

func tryImage(t *testing.T, c runner) {
	more := make(chan string)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), "streaming") {
			fmt.Fprint(w, `{"text":"Hello."}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range more {
			fmt.Fprintf(w, "data:%s\n\n", event)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(upstream.Close)

	if got, want := c.once(t, "", "version"), "flowlatch "+version; got != want {
		t.Errorf("version = %q, want %q", got, want)
	}
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(keys, user, user); err != nil {
		t.Fatal(err)
	}
	web := c.once(t, keys, "key", "new", "--id", "web", "--chatflow", chatflow)
	batch := c.once(t, keys, "key", "new", "--id", "batch", "--chatflow", chatflow)

	addr, admin := freeAddress(t), freeAddress(t)
	g := c.start(t, keys, map[string]string{"FLOWLATCH_LISTEN": addr, "FLOWLATCH_ADMIN": admin, "FLOWLATCH_UPSTREAM": upstream.URL})
	testkit.Eventually(t, "healthy gate", func() bool { return g.healthy() })
	wantConfined(t, g.pid(t), c.capBnd())

	if got := status(t, addr, web); got != http.StatusOK {
		t.Errorf("with the key = %d, want 200", got)
	}
	if got := status(t, addr, ""); got != http.StatusUnauthorized {
		t.Errorf("without a key = %d, want 401", got)
	}
	c.once(t, keys, "key", "revoke", "--id", "web")
	testkit.Eventually(t, "401 for a key that was revoked outside", func() bool { return status(t, addr, web) == http.StatusUnauthorized })

	go func() { more <- "before" }()
	res, err := post(t, addr, batch, `{"streaming":true}`)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("stream = %v, %v, want 200", res, err)
	}
	events := bufio.NewReader(res.Body)
	wantEvent(t, events, "before")
	g.terminate(t)
	testkit.Eventually(t, "end of service", func() bool { return status(t, addr, batch) != http.StatusOK })
	if g.healthy() {
		t.Error("the gate is healthy while it drains")
	}
	more <- "after"
	wantEvent(t, events, "after")
	close(more)
	if rest, err := io.ReadAll(events); err != nil || len(rest) > 0 {
		t.Errorf("rest of the stream = %q, %v, want its end", rest, err)
	}
	if code := g.wait(t); code != 0 {
		t.Errorf("exit code after SIGTERM = %d, want 0", code)
	}
}

func wantEvent(t *testing.T, from *bufio.Reader, event string) {
	t.Helper()
	for _, want := range []string{"data:" + event + "\n", "\n"} {
		if got, err := from.ReadString('\n'); err != nil || got != want {
			t.Fatalf("read of the stream = %q, %v, want %q", got, err, want)
		}
	}
}

// wantConfined fails the test unless the kernel says that the process has no privileges and cannot write.
func wantConfined(t *testing.T, pid int, capBnd bool) {
	t.Helper()
	read := func(name string) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	process := read("status")
	want := []string{`Uid:\s65532\s65532\s65532\s65532`, `Gid:\s65532\s65532\s65532\s65532`, `CapPrm:\s0+`, `CapEff:\s0+`, `CapAmb:\s0+`, `NoNewPrivs:\s1`}
	if capBnd {
		want = append(want, `CapBnd:\s0+`)
	}
	for _, w := range want {
		if !regexp.MustCompile(`(?m)^` + w + `$`).MatchString(process) {
			t.Errorf("the process has no %s:\n%s", w, process)
		}
	}
	for _, place := range []string{"/", "/etc/flowlatch"} {
		if !regexp.MustCompile(`(?m)^\d+ \d+ \S+ \S+ ` + place + ` ro[, ]`).MatchString(read("mountinfo")) {
			t.Errorf("%s can be written:\n%s", place, read("mountinfo"))
		}
	}
}
