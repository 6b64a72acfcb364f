//go:build e2e

// Package n8n tests the preset n8n against a real n8n.
package n8n

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
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
)

const (
	deep     = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
	listKeys = `version: 1
keys:
  - {id: orders, secret: secret-of-orders-0123456789}
  - {id: deep, secret: secret-of-deep-0123456789}
  - {id: basic, secret: secret-of-basic-0123456789}
chatflows:
  - {id: orders, keys: [orders]}
  - {id: ` + deep + `, keys: [deep]}
  - {id: basic, keys: [basic], upstream_authorization: "file:%s"}
`
)

func secretOf(key string) string { return "secret-of-" + key + "-0123456789" }

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// run runs a command and returns what it prints.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stderr = env, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// call sends a request with a target as it is spelled, and returns the status and the body of the response.
func call(t *testing.T, address, method, target, key string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	header := method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 11\r\n"
	if key != "" {
		header += "Authorization: Bearer " + secretOf(key) + "\r\n"
	}
	_, _ = io.WriteString(conn, header+"\r\n"+`{"order":7}`) // fails if the server refuses the request and closes the connection before
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// ran reports whether a response is that of a workflow, which repeats the request.
func ran(body string) bool { return strings.Contains(body, `"executionMode":"production"`) }

// world starts n8n with the workflows, and a gate in front of it, and returns their addresses.
func world(t *testing.T) (n8n, gate string) {
	t.Helper()
	dir := run(t, os.Environ(), "./install")
	n8n = freeAddress(t)
	_, port, _ := net.SplitHostPort(n8n)
	home := t.TempDir()
	env := append(os.Environ(), "N8N_USER_FOLDER="+home, "HOME="+home, "N8N_LISTEN_ADDRESS=127.0.0.1", "N8N_PORT="+port,
		"N8N_DIAGNOSTICS_ENABLED=false", "N8N_VERSION_NOTIFICATIONS_ENABLED=false", "N8N_TEMPLATES_ENABLED=false", "N8N_RUNNERS_ENABLED=false",
		"N8N_EXPRESSION_ENGINE=legacy") // the other needs a module that is not built
	command := filepath.Join(dir, "node_modules/.bin/n8n")
	credential := testkit.WriteFile(t, "credentials.json", `[{"id":"flowlatchCred001","name":"client","type":"httpBasicAuth","data":{"user":"gate","password":"Loopback-0nly!"}}]`)
	run(t, env, command, "import:credentials", "--input="+credential)
	run(t, env, command, "import:workflow", "--input=workflows.json")
	run(t, env, command, "update:workflow", "--all", "--active=true")
	process := testkit.Start(t, command, env, "start")

	basic := testkit.WriteFile(t, "basic", "Basic "+base64.StdEncoding.EncodeToString([]byte("gate:Loopback-0nly!")))
	gate = strings.TrimPrefix(testkit.Serve(t, testkit.Options{
		Keys: fmt.Sprintf(listKeys, basic), Upstream: "http://" + n8n, Args: []string{"--preset", "n8n", "--failure-limit", "off"},
	}).URL, "http://")
	testkit.EventuallyWithin(t, 2*time.Minute, "a workflow runs through the gate", func() bool {
		if process.Ended() {
			t.Fatal("n8n ended")
		}
		status, body := call(t, gate, "POST", "/webhook/"+deep+"/42/detail", "deep")
		return status == http.StatusOK && ran(body)
	})
	return n8n, gate
}

// respellings returns spellings of a path that some server takes for it.
func respellings(path string) (list []string) {
	for i := range len(path) {
		c, before, after := path[i], path[:i], path[i+1:]
		list = append(list, fmt.Sprintf("%s%%%02x%s", before, c, after), fmt.Sprintf("%s%%25%02x%s", before, c, after), fmt.Sprintf("%s&#%d;%s", before, c, after))
		switch {
		case c == '/':
			for _, s := range []string{"//", "/./", "/x/../", "/x/%2e%2e/", "/;x/", "/%2e/", `\`, "/..;/", "/%00/", "/%20"} {
				list = append(list, before+s+after)
			}
		case 'a' <= c && c <= 'z':
			list = append(list, before+string(c-32)+after)
		}
	}
	for _, s := range []string{"/", "//", "/.", "/..", "%2f", "%00", "%20", ";", ";x=1", "#x", "%23", "%3f", "/x/..", ".", `\`, "<b>"} {
		list = append(list, path+s)
	}
	return append(list, "/webhook-test/.."+path, "http://localhost"+path)
}

func TestN8n(t *testing.T) {
	n8n, gate := world(t)
	t.Run("calls", func(t *testing.T) {
		for _, tt := range []struct {
			request, key string
			status       int
		}{
			{"POST /webhook/orders?a=1", "orders", 200},
			{"POST /webhook/orders", "", 401},
			{"POST /webhook/orders", "deep", 403},
			{"POST /webhook/nosuch", "orders", 403},
			{"POST /webhook/" + deep + "/42/detail", "deep", 200},
			{"POST /webhook/" + deep + "/42/detail", "orders", 403},
			{"POST /webhook/" + deep + "/42/detail", "", 401},
			{"POST /webhook/basic", "basic", 200},
			{"GET /webhook/orders", "orders", 404}, // n8n's own: no such webhook
			{"POST /webhook-test/orders", "orders", 404},
			{"POST /webhook-waiting/1", "orders", 404},
			{"GET /rest/workflows", "orders", 404},
			{"GET /healthz", "orders", 404},
		} {
			method, target, _ := strings.Cut(tt.request, " ")
			status, body := call(t, gate, method, target, tt.key)
			if status != tt.status || ran(body) != (status == 200) {
				t.Errorf("%s with key %q = %d %s, want %d", tt.request, tt.key, status, body, tt.status)
			}
		}
		if status, _ := call(t, n8n, "POST", "/webhook/basic", "basic"); status != 403 && status != 401 {
			t.Errorf("basic without the gate = %d, want a refusal: n8n requires a password", status)
		}
	})
	t.Run("the workflow does not get the client's key", func(t *testing.T) {
		_, body := call(t, gate, "POST", "/webhook/orders", "orders")
		var sent struct {
			Headers map[string]string
			Body    map[string]any
		}
		if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.Body["order"] != 7.0 || sent.Headers["authorization"] != "" || strings.Contains(body, secretOf("orders")) {
			t.Errorf("the workflow was sent %s (%v), want the body and no key", body, err)
		}
		if _, body := call(t, n8n, "POST", "/webhook/orders", "orders"); !strings.Contains(body, secretOf("orders")) {
			t.Errorf("without the gate the workflow was sent %s, want the header in it, or the check above proves nothing", body)
		}
	})
	t.Run("spellings", func(t *testing.T) {
		for path, key := range map[string]string{"/webhook/orders": "orders", "/webhook/" + deep + "/42/detail": "deep"} {
			list, direct := respellings(path), 0
			for _, target := range list {
				if _, body := call(t, n8n, "POST", target, ""); ran(body) {
					direct++
				}
				if _, body := call(t, gate, "POST", target, ""); ran(body) {
					t.Errorf("POST %s without a key runs the workflow", target)
				}
				if status, body := call(t, gate, "POST", target, key); ran(body) {
					t.Errorf("POST %s with the key = %d and runs the workflow, want one spelling to run it", target, status)
				}
			}
			if direct == 0 {
				t.Errorf("none of %d spellings of %s runs the workflow in n8n itself, want some: this test proves nothing", len(list), path)
			}
			t.Logf("%s: %d spellings, of which n8n itself runs %d and the gate none", path, len(list), direct)
		}
	})
	t.Run("preflights tell which webhooks there are", func(t *testing.T) {
		preflight := func(address, path string) int {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", "https://site.example")
			req.Header.Set("Access-Control-Request-Method", "POST")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode
		}
		if there, not := preflight(n8n, "/webhook/orders"), preflight(n8n, "/webhook/nosuch"); there == not {
			t.Errorf("n8n responds to preflights with %d for both, want another status if there is no webhook", there)
		}
		if there, not := preflight(gate, "/webhook/orders"), preflight(gate, "/webhook/nosuch"); there != 405 || not != 405 {
			t.Errorf("the gate responds to preflights with %d and %d, want 405", there, not)
		}
	})
}
