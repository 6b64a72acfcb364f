//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// TestMemoryUnderAttack starts the gate with the limits of the manifests, has clients without a key attack it in every
// way that is known to make a gate hold memory, and compares its largest resident memory with the container's. While an
// attack goes on, a client with a key is served and the gate is ready. `make flood` prints the table.
func TestMemoryUnderAttack(t *testing.T) {
	t.Parallel()
	env, container := manifestLimits(t)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintln(w, "| attack\t resident, MiB\t")
	var mu sync.Mutex // guards w
	t.Run("attacks", func(t *testing.T) {
		for _, a := range attacks {
			t.Run(a.name, func(t *testing.T) {
				if !testkit.Long() {
					t.Parallel()
				}
				g := startAttacked(t, env, a)
				a.attack(t, g)
				g.wantServing(t)
				peak := g.statusBytes(t, "VmHWM")
				if peak > container {
					t.Errorf("resident memory = %d MiB, want at most %d, which is the container's limit", peak>>20, container>>20)
				}
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintf(w, "| %s\t %d\t\n", a.name, peak>>20)
				g.close()
				g.WantExit(t, syscall.SIGTERM)
			})
		}
	})
	_ = w.Flush()
	size := ""
	if !testkit.Long() {
		size = ", at a fiftieth of their size"
	}
	t.Logf("attacks%s, with %s, in a container of %d MiB:\n%s", size, strings.Join(env, " "), container>>20, &table)
}

// manifestLimits returns the variables of a manifest's gate that limit its memory, and the container's limit.
func manifestLimits(t *testing.T) (env []string, bytes int) {
	t.Helper()
	var manifest struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Name      string
						Env       []struct{ Name, Value string }
						Resources struct{ Limits struct{ Memory string } }
					}
				}
			}
		}
	}
	raw, err := os.ReadFile("../../deploy/kubernetes/edge/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	c := manifest.Spec.Template.Spec.Containers[0]
	for _, v := range c.Env {
		if v.Name == "GOMEMLIMIT" || v.Name == "FLOWLATCH_MAX_CONNECTIONS" {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	mebibytes, err := strconv.Atoi(strings.TrimSuffix(c.Resources.Limits.Memory, "Mi"))
	if err != nil {
		t.Fatal(err)
	}
	return env, mebibytes << 20
}

// attacked is a gate under attack, with the connections of its attackers.
type attacked struct {
	measuredGate
	conns
	authority *certificatetest.Authority // nil without TLS
	clients   int                        // number of client addresses used so far
	stalled   atomic.Int64               // requests at the upstream
}

func startAttacked(t *testing.T, env []string, a attack, args ...string) *attacked {
	t.Helper()
	g := &attacked{measuredGate: measuredGate{gate: &gate{web: keystore.Generate(), batch: keystore.Generate()}}}
	args = append(args, "--trusted-proxies", "127.0.0.0/8", "--log-allowed=false")
	if a.tls {
		g.authority = certificatetest.New(t, "authority")
		cert, key := g.authority.Issue(t, "gate.example", year).Write(t, t.TempDir())
		args = append(args, "--tls-cert", cert, "--tls-key", key)
	}
	o := testkit.Options{Program: testkit.Build(t, "-race=false"), Upstream: testkit.Upstream(t, g.upstream()).URL, Keys: g.keyFile(), Env: env, Args: args}
	o.Keys += fmt.Sprintf("  - {id: %s, public: true, body: {deny: [overrideConfig]}}\n", publicChatflow)
	if a.keys > 0 {
		var more strings.Builder
		for i := range atSize(a.keys) {
			fmt.Fprintf(&more, "  - {id: key-%05d, not_after: 2200-01-01T00:00:00Z, sha256: %064x}\n", i, i+1)
		}
		o.Keys = strings.Replace(o.Keys, "chatflows:\n", more.String()+"chatflows:\n", 1)
	}
	g.Gate = testkit.Serve(t, o)
	t.Cleanup(g.close)
	return g
}

const publicChatflow = "5a0e8b52-1111-4222-8333-444455556666"

// upstream responds only to requests that have a body.
func (g *attacked) upstream() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) == 0 {
			g.stalled.Add(1)
			defer g.stalled.Add(-1)
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(body)
	})
}

// atSize returns the size of an attack: a fiftieth unless long tests run.
func atSize(n int) int {
	if testkit.Long() {
		return n
	}
	return n / 50
}

// statusBytes returns a value from /proc/PID/status, in bytes.
func (g measuredGate) statusBytes(t *testing.T, name string) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("the process has no %s", name)
	return 0
}

// wantServing fails the test unless the gate serves a client with a key, and is ready.
func (g *attacked) wantServing(t *testing.T) {
	t.Helper()
	if g.authority == nil {
		g.gate.wantServing(t)
		return
	}
	s := secureGate{gate: g.gate, authority: g.authority}
	for _, http2 := range []bool{true, false} {
		if status, _, _, err := s.ask(t, http2); status != http.StatusOK {
			t.Errorf("prediction (HTTP/2: %t) = %d, %v, want 200", http2, status, err)
		}
	}
	if res := send(t, http.MethodGet, g.Admin+"/readyz", "", ""); res.status != http.StatusOK {
		t.Errorf("GET /readyz = %d, want 200", res.status)
	}
}

// address is where clients connect.
func (g *attacked) address() string {
	_, address, _ := strings.Cut(g.URL, "://")
	return address
}

// dialTCP opens a connection for an attacker. The gate may close it at any time.
func (g *attacked) dialTCP(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("connection %d: %v", len(g.conns), err)
	}
	g.conns = append(g.conns, conn)
	return conn
}
