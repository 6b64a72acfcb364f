//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// flowise is a running Flowise, and an operator who is logged in.
type flowise struct {
	version string
	url     string
	data    string // its data folder
	proc    *process
	admin   *http.Client
	header  map[string]string // by which Flowise takes the admin's requests for those of its UI
}

// startFlowise starts the installed version that E2E_FLOWISE names, with an empty database, and logs in to it. models
// is where it finds OpenAI's models.
func startFlowise(t *testing.T, models string) *flowise {
	t.Helper()
	version := os.Getenv("E2E_FLOWISE")
	if version == "" {
		version = "3.1.4"
	}
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cache, version, ".done")); err != nil {
		t.Fatalf("Flowise %s is not installed (./flowise.sh install %s): %v", version, version, err)
	}
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	f := &flowise{version: version, url: "http://" + addr, data: t.TempDir()}
	f.proc = start(t, "flowise", "env", "OPENAI_BASE_URL="+models+"/v1", "./flowise.sh", "run", version, port, f.data)
	testkit.EventuallyWithin(t, 3*time.Minute, "Flowise responds to a ping", func() bool {
		if !f.proc.running() {
			t.Fatalf("Flowise %s ended:\n%s", version, f.proc.tail(30))
		}
		res, err := open(t, client, f.url, request{method: http.MethodGet, path: "/api/v1/ping"})
		if err != nil {
			return false
		}
		return string(whole(t, request{}, res).body) == "pong"
	})
	f.login(t)
	return f
}

// is2 reports whether this is a 2.x, which has basic authentication where 3.x has accounts.
func (f *flowise) is2() bool { return strings.HasPrefix(f.version, "2.") }

func (f *flowise) login(t *testing.T) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.admin = &http.Client{Jar: jar}
	f.header = map[string]string{"x-request-from": "internal"}
	const user, email, password = "e2e", "e2e@example.com", "Loopback-0nly!"
	if f.is2() {
		req, _ := http.NewRequest(http.MethodGet, f.url, nil)
		req.SetBasicAuth(user, password) // as flowise.sh sets them
		f.header["Authorization"] = req.Header.Get("Authorization")
		return
	}
	f.api(t, http.MethodPost, "/account/register", map[string]any{
		"user": map[string]string{"name": user, "email": email, "type": "pro", "credential": password},
	}, nil)
	f.api(t, http.MethodPost, "/auth/login", map[string]string{"email": email, "password": password}, nil)
}

// api sends one request as the operator and decodes the response into out, unless out is nil.
func (f *flowise) api(t *testing.T, method, path string, body, out any) {
	t.Helper()
	r := request{method: method, path: "/api/v1" + path, header: f.header, body: body}
	res, err := open(t, f.admin, f.url, r)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	got := whole(t, r, res)
	if got.status/100 != 2 {
		t.Fatalf("%v on Flowise = %v, want 2xx", r, got)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		t.Fatalf("%v on Flowise = %v: %v", r, got, err)
	}
}

// asked reports whether a question is among a chatflow's stored messages.
func (f *flowise) asked(t *testing.T, chatflow, question string) bool {
	t.Helper()
	var messages json.RawMessage
	f.api(t, http.MethodGet, "/chatmessage/"+chatflow, nil, &messages)
	return bytes.Contains(messages, []byte(question))
}

// freeAddr returns an address on loopback that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
