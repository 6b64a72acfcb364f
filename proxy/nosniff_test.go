package proxy_test

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestNoSniff: every response of the gate tells browsers, once, not to guess its type, whatever the upstream sends.
// Flowise serves uploaded HTML without a Content-Type, and a browser would run it.
func TestNoSniff(t *testing.T) {
	t.Parallel()
	upstream := func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Content-Type-Options"] = []string{"sniff", "away"}
		if route.IsWebsocket(r.Header) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			return
		}
		w.Header()["Content-Type"] = nil
		fmt.Fprint(w, "<script>alert(1)</script>")
	}
	predict, file := "/api/v1/prediction/"+botA, "/api/v1/get-upload-file?chatflowId="+botA+"&chatId=c&fileName=f.html"
	for _, tt := range []struct {
		name, method, target string
		headers              []string
		status               int
	}{
		{"a file", "GET", file, []string{bearerOf(secretA)}, 200},
		{"a file's header", "HEAD", file, []string{bearerOf(secretA)}, 200},
		{"a response", "POST", predict, []string{bearerOf(secretA)}, 200},
		{"no key", "POST", predict, nil, 401},
		{"no route", "GET", "/", nil, 404},
		{"preflight", "OPTIONS", predict, []string{"Origin: https://www.example.com", "Access-Control-Request-Method: POST"}, 204},
		{"websocket", "GET", "/ws/" + botA, []string{bearerOf(secretA), "Connection: Upgrade", "Upgrade: websocket"}, 101},
	} {
		for name, origins := range map[string][]string{"CORS by the gate": {"https://www.example.com"}, "CORS by the upstream": nil} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				g := newGate(t, upstream, func(o *proxy.Options) {
					o.CORSOrigins = origins
					o.Routes = slices.Concat(route.Flowise().Routes, []*route.Route{{Group: "run", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}})
					o.Expose = append(o.Expose, "run")
				})
				conn := g.dial(t)
				fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: gate\r\n", tt.method, tt.target)
				for _, h := range tt.headers {
					fmt.Fprintf(conn, "%s\r\n", h)
				}
				fmt.Fprint(conn, "\r\n")
				res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: tt.method})
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				status := tt.status
				if tt.name == "preflight" && origins == nil {
					status = 200
				}
				if got := res.Header["X-Content-Type-Options"]; !slices.Equal(got, []string{"nosniff"}) || res.StatusCode != status {
					t.Errorf("response = %d with X-Content-Type-Options %q, want %d and nosniff", res.StatusCode, got, status)
				}
			})
		}
	}
}
