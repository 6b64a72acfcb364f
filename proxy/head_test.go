package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestHEAD sends HEAD wherever GET is accepted. The upstream gets it as HEAD, the client gets the header that it would
// get for GET, and the connection serves the next request. HEAD needs the key that GET needs.
func TestHEAD(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		target, key string
		status      int
		reached     bool
	}{
		{"/api/v1/ping", "", 200, true},
		{"/api/v1/chatflows-streaming/" + botA, "", 200, true},
		{"/api/v1/chatflows-streaming/" + unlisted, "", 401, false},
		{"/api/v1/chatflows-uploads/" + botA, secretA, 200, true},
		{"/api/v1/chatflows-uploads/" + botA, "", 401, false},
		{"/api/v1/chatflows-uploads/" + botA, secretB, 403, false},
		{"/api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f", secretA, 200, true},
		{"/api/v1/webhook/" + botA, secretA, 200, true},
		{"/api/v1/webhook/" + botA, "", 401, false},
		{"/api/v1/prediction/" + botA, secretA, 405, false},
		{"/own/" + botA, secretA, 200, true},
		{"/own/head/" + botA, secretA, 200, true},
		{"/own/post/" + botA, secretA, 405, false},
	} {
		t.Run(tt.target+" "+tt.key, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", "5")
					w.Header().Set("Etag", `"x"`)
					_, _ = io.WriteString(w, "hello")
				}, func(o *proxy.Options) {
					change(o)
					o.Routes = slices.Concat(route.Flowise().Routes, []*route.Route{
						{Group: "own", Methods: []string{"GET"}, Path: "/own/{chatflow}"},
						{Group: "own", Methods: []string{"GET", "HEAD"}, Path: "/own/head/{chatflow}"},
						{Group: "own", Methods: []string{"POST"}, Path: "/own/post/{chatflow}"},
					})
					o.Expose = append(o.Expose, "own")
				})
				key := ""
				if tt.key != "" {
					key = bearerOf(tt.key) + "\r\n"
				}
				conn := g.dial(t)
				in := bufio.NewReader(conn)
				fmt.Fprintf(conn, "HEAD %s HTTP/1.1\r\nHost: gate\r\n%s\r\n", tt.target, key)
				res, err := http.ReadResponse(in, &http.Request{Method: http.MethodHead})
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				r, _, n := g.upstream.last()
				switch {
				case res.StatusCode != tt.status || (n == 1) != tt.reached:
					t.Errorf("HEAD = %d, %d requests reached the upstream; want %d, reached: %t", res.StatusCode, n, tt.status, tt.reached)
				case tt.reached && (r.Method != http.MethodHead || res.ContentLength != 5 || res.Header.Get("Etag") != `"x"`):
					t.Errorf("the upstream got %s, the client %v; want HEAD and the header of GET", r.Method, res.Header)
				case tt.status == 405 && strings.Contains(res.Header.Get("Allow"), "HEAD"):
					t.Errorf("Allow = %q, want no HEAD", res.Header.Get("Allow"))
				}
				testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), `"method":"HEAD"`) })
				if !strings.Contains(g.log.String(), `"bytes":0,`) {
					t.Errorf("log = %s, want 0 bytes", g.log)
				}
				fmt.Fprintf(conn, "GET /api/v1/ping HTTP/1.1\r\nHost: gate\r\n\r\n")
				if res := readResponse(t, in); res.status != 200 || res.body != "hello" {
					t.Errorf("the next response = %d %q, want 200 and hello", res.status, res.body)
				}
			})
		})
	}
}

// TestAllowNamesHEAD sends methods that a path does not accept.
func TestAllowNamesHEAD(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	for path, want := range map[string]string{
		"/api/v1/ping":               "GET, HEAD",
		"/api/v1/prediction/" + botA: "POST",
		"/api/v1/webhook/" + botA:    "DELETE, GET, HEAD, PATCH, POST, PUT",
	} {
		if got := g.request(t, "PROPFIND", path, "").header.Get("Allow"); got != want {
			t.Errorf("%s: Allow = %q, want %q", path, got, want)
		}
	}
}
