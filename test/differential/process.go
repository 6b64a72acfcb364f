//go:build e2e

package differential

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a child that prints JSON, line by line.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed once it has ended and all its lines are read
	stop  func()
}

// startProcess runs a command until the test ends, and has each line of it read.
func startProcess(t testing.TB, name string, env []string, each func(line []byte), command ...string) *process {
	t.Helper()
	p := &process{name: name, done: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	err = p.cmd.Start()
	_ = w.Close()
	if err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		in := bufio.NewReaderSize(out, 1<<20)
		for {
			line, err := in.ReadBytes('\n')
			if len(line) > 0 {
				each(line)
			}
			if err != nil {
				break
			}
		}
		_ = p.cmd.Wait()
		close(p.done)
	}()
	p.stop = sync.OnceFunc(func() {
		_ = p.stdin.Close()
		_ = syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(patience):
			_ = syscall.Kill(p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.done
		}
	})
	t.Cleanup(p.stop)
	return p
}

// Hit is a request that reached the router.
type Hit struct {
	Via        string          `json:"via"` // "gate" or "direct"
	Controller string          `json:"controller"`
	Chatflow   json.RawMessage `json:"chatflow"`
	Question   json.RawMessage `json:"question"`
	Row        json.RawMessage `json:"row"`
	Method     string          `json:"method"`
	URL        string          `json:"url"`
	Headers    []string        `json:"headers"` // names and values in turn, as they came
	Trailers   []string        `json:"trailers"`
}

// Header returns the values of a header.
func (h Hit) Header(name string) []string {
	var values []string
	for i := 0; i+1 < len(h.Headers); i += 2 {
		if strings.EqualFold(h.Headers[i], name) {
			values = append(values, h.Headers[i+1])
		}
	}
	return values
}

// Runs reports whether a request with this word would have run a chatflow of a world, and which.
func (h Hit) Runs(w World, word string) (chatflow string, ok bool) {
	chatflow = text(h.Chatflow)
	return chatflow, (h.Controller == "prediction" || h.Controller == "leads") && w.known(chatflow) && text(h.Question) == word
}

// text returns a JSON string's text; other values are marked as such, and none is "".
func text(raw json.RawMessage) string {
	var s string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return ""
	case json.Unmarshal(raw, &s) == nil:
		return s
	}
	return "not a string: " + string(raw)
}

// Router is the runner's stand-in.
type Router struct {
	Gate, Direct string // addresses: for a gate, and around it
	Key          string // stands for one of the runner's own API keys

	mu   sync.Mutex
	hits []Hit
}

// StartRouter starts the router that behaves as a version of Flowise does. node is the program to run it; empty means the
// machine's own.
func StartRouter(t testing.TB, version, node string) *Router {
	t.Helper()
	_, dir := here(t)
	install := exec.Command(filepath.Join(dir, "..", "router", "install"))
	install.Stderr = os.Stderr
	modules, err := install.Output()
	if err != nil {
		t.Fatalf("installing the router: %v", err)
	}
	if node == "" {
		node = "node"
	}
	r := &Router{Key: "runner-key-0123456789abcdef"}
	type ports struct{ Gate, Direct int }
	listening := make(chan ports, 1)
	first := true
	p := startProcess(t, "router", []string{"ROUTER_KEY=" + r.Key, "NODE_PATH=" + strings.TrimSpace(string(modules)) + "/node_modules"}, func(line []byte) {
		var p ports
		if first {
			first = false
			if json.Unmarshal(line, &p) == nil && p.Gate != 0 {
				listening <- p
				return
			}
		}
		var h Hit
		if err := json.Unmarshal(line, &h); err != nil || h.Via == "" {
			h = Hit{Via: "gate", Controller: "crashed: " + string(line)}
		}
		r.mu.Lock()
		r.hits = append(r.hits, h)
		r.mu.Unlock()
	}, node, filepath.Join(dir, "..", "router", "router.js"), version)
	select {
	case l := <-listening:
		r.Gate, r.Direct = fmt.Sprintf("127.0.0.1:%d", l.Gate), fmt.Sprintf("127.0.0.1:%d", l.Direct)
	case <-p.done:
		t.Fatalf("the router ended: %+v", r.Hits())
	case <-time.After(30 * time.Second):
		t.Fatal("the router does not listen")
	}
	return r
}

// Hits returns what reached the router so far.
func (r *Router) Hits() []Hit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Hit(nil), r.hits...)
}

// Line is one line of the gate's log, about a request.
type Line struct {
	RequestID string `json:"request_id"`
	Decision  string `json:"decision"`
	Route     string `json:"route"`
	Chatflow  string `json:"chatflow"`
	Key       string `json:"key"`
	Code      string `json:"code"`
	Status    int    `json:"status"`
}

// Gate is a running flowlatch.
type Gate struct {
	Addr string
	proc *process

	mu    sync.Mutex
	lines map[string]Line // by request ID
	other []string        // lines that are no JSON, or of a panic
}

// StartGate starts flowlatch before a runner, with all routes open and the keys of a world. credential, if not empty, is what
// it sends the runner in the place of the caller's key.
func StartGate(t testing.TB, binary string, w World, upstream, credential string) *Gate {
	t.Helper()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.yaml")
	if err := os.WriteFile(keys, []byte(w.KeyFile()), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &Gate{Addr: freeAddr(t), lines: map[string]Line{}}
	admin := freeAddr(t)
	args := []string{
		binary, "serve", "--listen", g.Addr, "--admin", admin, "--upstream", "http://" + upstream, "--keys", keys, "--log-format", "json",
		"--expose", "predict,widget,upsert,mcp,webhook", "--drain", "5s",
		"--log-level", "debug", // or not every request that needs no key gets a line
	}
	if credential != "" {
		file := filepath.Join(dir, "credential")
		if err := os.WriteFile(file, []byte(credential), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--upstream-authorization", "file:"+file)
	}
	g.proc = startProcess(t, "flowlatch", nil, func(b []byte) {
		var l Line
		err := json.Unmarshal(b, &l)
		g.mu.Lock()
		defer g.mu.Unlock()
		if err != nil || strings.Contains(string(b), `"panic"`) {
			g.other = append(g.other, string(b))
		} else if l.Decision != "" {
			if _, twice := g.lines[l.RequestID]; twice {
				g.other = append(g.other, "second line of a request: "+string(b))
			}
			g.lines[l.RequestID] = l
		}
	}, args...)
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.Dial("tcp", g.Addr)
		if err == nil {
			_ = conn.Close()
			return g
		}
		select {
		case <-g.proc.done:
			t.Fatalf("flowlatch serve ended: %q", g.other)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("flowlatch does not listen")
		}
	}
}

// Stop ends the gate, and with it all that is still open, and returns its log.
func (g *Gate) Stop() (lines map[string]Line, other []string) {
	g.proc.stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lines, g.other
}

// line returns the line of a request, once it is written.
func (g *Gate) line(id string) (Line, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, ok := g.lines[id]
	return l, ok
}

// Build returns the flowlatch under test: FLOWLATCH_BIN, or one built now.
func Build(t testing.TB) string {
	t.Helper()
	if binary := os.Getenv("FLOWLATCH_BIN"); binary != "" {
		return binary
	}
	root, _ := here(t)
	binary := filepath.Join(t.TempDir(), "flowlatch")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/flowlatch")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building flowlatch: %v\n%s", err, out)
	}
	return binary
}

// Setting reads a number from the environment.
func Setting(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// here returns the root of the checkout and the folder of this package.
func here(t testing.TB) (root, dir string) {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Dir(strings.TrimSpace(string(out)))
	return root, filepath.Join(root, "deploy", "e2e", "differential")
}
