//go:build e2e

package differential

import (
	"fmt"
	"strings"
)

// known are requests that a gate was once seen to let through for another chatflow than the runner's, or for none.
func known(w World) [][]byte {
	post := func(target, key, lines, body string) []byte {
		if key != "" {
			lines += "Authorization: Bearer " + w.Secrets[key] + "\r\n"
		}
		return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %d\r\n\r\n%s", target, lines, len(body), body)
	}
	lead := fmt.Sprintf(`{"chatflowid":"%s","name":"x","x":"%s"}`, w.A, utf7(`","chatflowid":"`+w.B))
	inner := string(post("/api/v1/prediction/"+w.A, keyA, "Content-Type: application/json\r\n", "{}"))
	return [][]byte{
		// Go's mime takes the charset from an extended parameter (RFC 2231), Node's content-type from the plain one.
		post("/api/v1/leads", keyA, "Content-Type: application/json; charset=utf-7; charset*=utf-8''utf-8\r\n", lead),
		post("/api/v1/leads", keyA, "Content-Type: application/json; charset=utf-7; charset*0=utf-8\r\n", lead),
		// The runner does not parse a body whose type it cannot read, or has not been told.
		post("/api/v1/leads", keyA, "Content-Type: application/json;\r\n", `{"chatflowid":"`+w.A+`"}`),
		post("/api/v1/leads", keyA, "Content-Type: application/json\r\nConnection: Content-Type\r\n", `{"chatflowid":"`+w.A+`"}`),
		// Flowise 3.1.4 runs a webhook's controller for a preflight too.
		fmt.Appendf(nil, "OPTIONS /api/v1/webhook/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://page.example\r\nAccess-Control-Request-Method: POST\r\n\r\n", w.A),
		// Two lengths for one request, and a second request where one of them ends.
		[]byte(strings.Replace(string(post("/api/v1/prediction/"+w.A, keyA, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+inner)), "\r\nContent-Type: application/json\r\nTransfer", "\r\nTransfer", 1)),
		// The caller closes its side in the middle of the body.
		[]byte(strings.Replace(string(post("/api/v1/prediction/"+w.A, keyA, "Content-Type: application/json\r\n", "{}")), "Content-Length: 2\r\n", "Content-Length: 200\r\n", 1)),
	}
}
