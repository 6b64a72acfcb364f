//go:build proxies

package proxies

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	chatflow = "3f1c2a9e-1111-4222-8333-444455556666"
	another  = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc" // not listed
	secret   = "a-secret-0123456789abcdef"
	keys     = "version: 1\nkeys: [{id: shop, secret: " + secret + "}]\nchatflows:\n- {id: " + chatflow + ", keys: [shop]}\n"
	maxBody  = 2 << 20
)

// startGate starts a gate before an upstream that responds early: it has the header of a request, and reads the body
// only after its response.
func startGate(t *testing.T, args ...string) *testkit.Gate {
	t.Helper()
	upstream := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "early")
		_ = control.Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	return testkit.Serve(t, testkit.Options{
		Keys: keys, Upstream: upstream.URL,
		Args: append([]string{"--max-body", "2MiB", "--failure-limit", "off"}, args...),
	})
}

// startSecureGate is startGate with TLS.
func startSecureGate(t *testing.T) *testkit.Gate {
	t.Helper()
	cert, key := certificatetest.New(t, "CA").Issue(t, "gate", time.Hour).Write(t, t.TempDir())
	return startGate(t, "--tls-cert", cert, "--tls-key", key)
}

// startProxy writes a configuration, in which SOCKET and DIR have been replaced, starts the program with it, and returns
// the socket on which it listens.
func startProxy(t *testing.T, program, config string, args ...string) (socket string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil { // where only root's PATH leads
		path = filepath.Join("/usr/sbin", program)
	}
	dir := t.TempDir()
	socket = filepath.Join(dir, "s") // its name may have 107 characters
	config = strings.NewReplacer("SOCKET", socket, "DIR", dir).Replace(config)
	p := testkit.Start(t, path, nil, append(args, testkit.WriteFile(t, program+".conf", config))...)
	testkit.Eventually(t, program+" to listen", func() bool {
		if p.Ended() {
			t.Fatalf("%s ended: %s%s", program, p.Stdout.String(), p.Stderr.String())
		}
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return socket
}

// nginx starts an nginx with nothing but proxy_pass, which speaks HTTP/1.0 and has the gate close each connection. Its own
// limit on bodies is lifted. more are lines for the location.
func nginx(t *testing.T, gate *testkit.Gate, more string) (socket string) {
	t.Helper()
	return startProxy(t, "nginx", `
daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
events {}
http {
  access_log off;
  client_max_body_size 0;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  server {
    listen unix:SOCKET;
    location / {
      proxy_pass `+gate.URL+`;
      `+more+`
    }
  }
}
`, "-e", "/dev/null", "-c")
}

// haproxy starts an HAProxy. more are lines for its backend, server are options of its server.
func haproxy(t *testing.T, gate *testkit.Gate, more, server string) (socket string) {
	t.Helper()
	_, address, _ := strings.Cut(gate.URL, "://")
	return startProxy(t, "haproxy", `
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend clients
  bind unix@SOCKET
  default_backend gate
backend gate
  `+more+`
  server gate `+address+` `+server+`
`, "-db", "-f")
}
