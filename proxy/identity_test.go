package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy"
)

// TestIdentityHeaders turns on the headers that say who called, and checks what reaches the upstream. The client sends
// headers with these names as well.
func TestIdentityHeaders(t *testing.T) {
	t.Parallel()
	preflight := []string{"Origin: https://site.example", "Access-Control-Request-Method: POST"}
	leads := `{"chatflowid":"` + botA + `"}`
	for _, tt := range []struct {
		name, method, target, body string
		headers                    []string
		key, chatflow              string
	}{
		{"key", "POST", "/api/v1/prediction/" + botA, "{}", []string{bearerOf(secretA)}, "key-a", botA},
		{"key of every chatflow", "POST", "/api/v1/prediction/" + unlisted, "{}", []string{bearerOf(secretOps)}, "ops", unlisted},
		{"Connection names them", "POST", "/api/v1/prediction/" + botA, "{}", []string{bearerOf(secretA), "Connection: X-Flowlatch-Key-Id, X-Flowlatch-Chatflow"}, "key-a", botA},
		{"chatflow in the body", "POST", "/api/v1/leads", leads, []string{bearerOf(secretA)}, "key-a", botA},
		{"chatflow in the query", "GET", "/api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f", "", []string{bearerOf(secretA)}, "key-a", botA},
		{"no chatflow", "PUT", "/api/v1/feedback/00000000-0000-4000-8000-0000000000ff", "{}", []string{bearerOf(secretA)}, "key-a", ""},
		{"public chatflow, no key", "POST", "/api/v1/prediction/" + botPublic, "{}", nil, "", botPublic},
		{"public chatflow, key of another", "POST", "/api/v1/prediction/" + botPublic, "{}", []string{bearerOf(secretA)}, "", botPublic},
		{"public chatflow, expired key", "POST", "/api/v1/prediction/" + botPublic, "{}", []string{bearerOf(secretExpired)}, "", botPublic},
		{"discovery", "GET", "/api/v1/chatflows-streaming/" + botA, "", nil, "", botA},
		{"public route with a key", "GET", "/api/v1/ping", "", []string{bearerOf(secretA)}, "", ""},
		{"preflight", "OPTIONS", "/api/v1/prediction/" + botA, "", preflight, "", ""},
	} {
		for _, on := range []bool{true, false} {
			t.Run(tt.name+map[bool]string{true: "", false: ", not asked for"}[on], func(t *testing.T) {
				g := newGate(t, nil, func(o *proxy.Options) {
					withKeys(t, keyFile+publicEntry)(o)
					o.IdentityHeaders = on
				})
				headers := append([]string{"X-Flowlatch-Key-Id: evil", "x-flowlatch-chatflow: evil", "X_Flowlatch_Key_Id: evil", "X-Flowlatch-Other: evil"}, tt.headers...)
				if tt.body != "" {
					headers = append(headers, jsonType)
				}
				if res := g.request(t, tt.method, tt.target, tt.body, headers...); res.status != 200 {
					t.Fatalf("response = %d %s, want 200", res.status, res.body)
				}
				want := map[string][]string{}
				if on && tt.key != "" {
					want["X-Flowlatch-Key-Id"] = []string{tt.key}
				}
				if on && tt.chatflow != "" {
					want["X-Flowlatch-Chatflow"] = []string{tt.chatflow}
				}
				r, _, _ := g.upstream.last()
				got := map[string][]string{}
				for name, values := range r.Header {
					if strings.Contains(strings.ToLower(name), "flowlatch") {
						got[name] = values
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("headers at the upstream (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestIdentityHeadersOfOthers sends headers and trailers with the gate's names from the client to the upstream and back.
// Neither side may mistake them for the gate's.
func TestIdentityHeadersOfOthers(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		var trailer http.Header
		g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			trailer = r.Trailer.Clone()
			w.Header().Set("Trailer", "X-Flowlatch-Key-Id, X-Kept-Too")
			w.Header().Set("X-Flowlatch-Chatflow", "evil")
			w.Header().Set("X-Kept", "yes")
			_, _ = io.WriteString(w, "{}")
			w.Header().Set("X-Kept-Too", "yes")
			w.Header().Set("X-Flowlatch-Key-Id", "evil")
			w.Header().Set(http.TrailerPrefix+"X-Flowlatch-Other", "evil")
		}, change)
		responses := g.conversation(t, "POST /api/v1/prediction/"+botA+" HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n"+bearerOf(secretA)+"\r\n"+jsonType+"\r\n"+
			"Trailer: X-Flowlatch-Key-Id\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Flowlatch-Key-Id: evil\r\n\r\n")
		if len(responses) != 1 || responses[0].StatusCode != 200 || responses[0].Header.Get("X-Kept") != "yes" || responses[0].Trailer.Get("X-Kept-Too") != "yes" {
			t.Fatalf("responses = %+v, want one with X-Kept and the trailer X-Kept-Too", responses)
		}
		for name := range responses[0].Header {
			if strings.HasPrefix(name, "X-Flowlatch-") {
				t.Errorf("%s in the response, want none of the upstream's", name)
			}
		}
		for name := range responses[0].Trailer {
			if strings.HasPrefix(name, "X-Flowlatch-") {
				t.Errorf("trailer %s in the response, want none of the upstream's", name)
			}
		}
		if len(trailer) != 0 {
			t.Errorf("trailer at the upstream = %v, want none", trailer)
		}
	})
}
