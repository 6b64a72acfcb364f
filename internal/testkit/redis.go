package testkit

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Redis is a redis-server on a unix socket, without persistence unless its arguments say otherwise.
type Redis struct {
	Socket string
	args   []string
	cmd    *exec.Cmd
}

// StartRedis starts a redis-server, which ends with the test. The test is skipped if redis-server is not installed; CI
// installs it.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &Redis{Socket: filepath.Join(dir, "s")}
	r.args = append([]string{"--port", "0", "--unixsocket", r.Socket, "--dir", dir, "--save", "", "--appendonly", "no"}, args...)
	t.Cleanup(r.Kill)
	r.Start(t)
	return r
}

// Start starts the server, or starts it again after Kill, empty unless it has persistence. It waits until the server
// accepts connections.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("needs redis-server (apt-get install redis-server)")
	}
	r.cmd = exec.Command(path, r.args...)
	endWithTests(r.cmd)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "connection to redis-server", func() bool {
		c, err := net.Dial("unix", r.Socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// URL is how a gate reaches the server.
func (r *Redis) URL() string { return "unix://" + r.Socket }

// Signal sends the server a signal.
func (r *Redis) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server, even if a signal has stopped it.
func (r *Redis) Kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
}
