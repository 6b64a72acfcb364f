//go:build e2e

package differential

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// process is a process that prints JSON, line by line.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed once the process has ended and all its lines are read
	stop  func()
}

// startProcess runs a command until the test ends. It calls each for every line that the command prints.
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
		case <-time.After(timeout):
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
	Headers    []string        `json:"headers"` // names and values in turn, as received
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

// Runs reports whether the request, if it has this word, would have run a chatflow of the world, and which.
func (h Hit) Runs(w World, word string) (chatflow string, ok bool) {
	chatflow = text(h.Chatflow)
	return chatflow, (h.Controller == "prediction" || h.Controller == "leads") && w.known(chatflow) && text(h.Question) == word
}

// text returns the value of a JSON string, and "" for null or nothing. Other values are marked as such.
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

// Router imitates Flowise.
type Router struct {
	Gate, Direct string // addresses: the gate's upstream, and the one for requests around the gate
	Key          string // one of its own API keys

	mu   sync.Mutex
	hits []Hit
}

// StartRouter starts the router, which imitates a version of Flowise. node is the path of Node; empty means node in $PATH.
func StartRouter(t testing.TB, version, node string) *Router {
	t.Helper()
	dir := filepath.Join(testkit.Root(t), "test", "router")
	install := exec.Command(filepath.Join(dir, "install"))
	install.Stderr = os.Stderr
	modules, err := install.Output()
	if err != nil {
		t.Fatalf("installing the router: %v", err)
	}
	if node == "" {
		node = "node"
	}
	r := &Router{Key: "upstream-key-0123456789abcdef"}
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
	}, node, filepath.Join(dir, "router.js"), version)
	select {
	case l := <-listening:
		r.Gate, r.Direct = fmt.Sprintf("127.0.0.1:%d", l.Gate), fmt.Sprintf("127.0.0.1:%d", l.Direct)
	case <-p.done:
		t.Fatalf("the router ended: %+v", r.Hits())
	case <-time.After(30 * time.Second):
		t.Fatal("the router did not listen within 30 s")
	}
	return r
}

// Hits returns what reached the router so far.
func (r *Router) Hits() []Hit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Hit(nil), r.hits...)
}

// Line is one line of the gate's log, most often about a request.
type Line struct {
	Message   string `json:"message"`
	Listen    string `json:"listen"` // of the message "serving"
	RequestID string `json:"request_id"`
	Decision  string `json:"decision"`
	Route     string `json:"route"`
	Chatflow  string `json:"chatflow"`
	Key       string `json:"key"`
	Code      string `json:"code"`
	Status    int    `json:"status"`
}

// Gate is a running flowlatch, whose log is read as it is written.
type Gate struct {
	Addr string
	proc *process

	mu    sync.Mutex
	lines map[string]Line // by request ID
	other []string        // lines that are not JSON, or are about a panic
}

// StartGate starts flowlatch in front of an upstream, with all route groups exposed and the keys of a world. credential, if
// not empty, is sent upstream instead of the client's key.
func StartGate(t testing.TB, binary string, w World, upstream, credential string) *Gate {
	t.Helper()
	keys := testkit.WriteFile(t, "keys.yaml", w.KeyFile())
	g := &Gate{lines: map[string]Line{}}
	args := []string{
		binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", "http://" + upstream, "--keys", keys, "--log-format", "json",
		"--expose", "predict,widget,upsert,mcp,webhook", "--drain", "5s", "--path-prefix", w.Prefix,
		"--log-level", "debug", // at info, some requests that need no key have no line
	}
	if credential != "" {
		args = append(args, "--upstream-authorization", "file:"+testkit.WriteFile(t, "credential", credential))
	}
	serving := make(chan string, 1)
	g.proc = startProcess(t, "flowlatch", nil, func(b []byte) {
		var l Line
		err := json.Unmarshal(b, &l)
		if l.Message == "serving" {
			serving <- l.Listen
		}
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
	select {
	case g.Addr = <-serving:
	case <-g.proc.done:
		t.Fatalf("flowlatch serve ended: %q", g.other)
	case <-time.After(testkit.Timeout):
		t.Fatalf("flowlatch serve did not serve within %s", testkit.Timeout)
	}
	return g
}

// Stop ends the gate, with all open connections, and returns its log.
func (g *Gate) Stop() (lines map[string]Line, other []string) {
	g.proc.stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lines, g.other
}

// line returns the log line of a request if it has been written.
func (g *Gate) line(id string) (Line, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, ok := g.lines[id]
	return l, ok
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
