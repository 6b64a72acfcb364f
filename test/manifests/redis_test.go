package manifests

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// redisContainer is how a manifest runs Redis.
type redisContainer struct {
	service  string   // the name by which gates find it
	url      string   // where the gate of the manifest looks for it
	password string   // empty for none
	command  []string // redis-server and its arguments
	probe    []string // redis-cli and its arguments
}

// runRedis runs a Redis as a manifest does, but on a unix socket, and checks it as its probe does. It returns the URL for a gate.
func runRedis(t *testing.T, c redisContainer) string {
	t.Helper()
	u, err := url.Parse(c.url)
	if err != nil {
		t.Fatalf("URL of Redis: %v", err)
	}
	if password, _ := u.User.Password(); u.Scheme != "redis" || u.Host != c.service+":6379" || password != c.password {
		t.Errorf("URL of Redis = %s, want redis://…@%s:6379 with its password", c.url, c.service)
	}
	if len(c.command) == 0 || c.command[0] != "redis-server" || len(c.probe) == 0 || c.probe[0] != "redis-cli" {
		t.Fatalf("Redis is run by %q and probed by %q, want redis-server and redis-cli", c.command, c.probe)
	}
	server, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("needs redis-server (apt-get install redis-server)")
	}
	dir, err := os.MkdirTemp("", "redis") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(server, append(slices.Clone(c.command[1:]), "--port", "0", "--unixsocket", socket, "--dir", dir)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
			t.Errorf("Redis leaves %q on disk, want nothing", left)
		}
	})
	testkit.Eventually(t, "connection to redis-server", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	ask := func(password string, args ...string) (string, error) {
		cli := exec.Command("redis-cli", append([]string{"-s", socket}, args...)...)
		if password != "" {
			cli.Env = append(os.Environ(), "REDISCLI_AUTH="+password)
		}
		out, err := cli.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := ask(c.password, c.probe[1:]...); err != nil || out != "PONG" {
		t.Errorf("%q = %q, %v, want PONG", c.probe, out, err)
	}
	if out, _ := ask("", "ping"); (out == "PONG") != (c.password == "") {
		t.Errorf("redis-cli ping without a password = %q, although the password is %q", out, c.password)
	}
	for setting, want := range map[string]string{"save": "", "appendonly": "no", "maxmemory-policy": "noeviction", "protected-mode": "no"} {
		if out, err := ask(c.password, "config", "get", setting); err != nil || strings.TrimSpace(strings.TrimPrefix(out, setting)) != want {
			t.Errorf("redis-cli config get %s = %q, %v, want %q", setting, out, err, want)
		}
	}
	here := url.URL{Scheme: "unix", User: u.User, Path: socket}
	return here.String()
}

// wantRedisConfined checks that only the gate reaches the Redis, and that it may do nothing else.
func wantRedisConfined(t *testing.T, p *types.Project) {
	t.Helper()
	s := p.Services["redis"]
	if s.User == "" || strings.HasPrefix(s.User, "0") || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.MemLimit == 0 {
		t.Errorf("redis runs as %q, read only %v, without %v, with %v, in %d bytes", s.User, s.ReadOnly, s.CapDrop, s.SecurityOpt, s.MemLimit)
	}
	if len(s.Ports) > 0 || len(s.Networks) != 1 {
		t.Errorf("redis has ports %v and networks %v, want none and one", s.Ports, s.NetworksByPriority())
	}
	for name := range s.Networks {
		if !p.Networks[name].Internal {
			t.Errorf("the network %s is open to the outside", name)
		}
		for other, service := range p.Services {
			if _, on := service.Networks[name]; on != (other == "redis" || other == "flowlatch") {
				t.Errorf("%s is on the network of redis = %v", other, on)
			}
		}
	}
}
