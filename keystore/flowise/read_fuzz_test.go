package flowise

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRead tries any response. The result is a list of chatflows, or an error on one line.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`[]`, `[{"id":"a","name":"b","apikeyid":null}]`, `{"data":[{"id":"a"}],"total":1}`, `{"total":0,"data":[],"x":{}}`,
		`{"data":[],"data":[{"id":"a"}],"total":1}`, `{"data":[{}],"total":-1}`, `{"data":[{}],"total":9000000000000000000}`, `[[]]`, `null`, `{}`, `[{"id":"a"}`, `[null]`, `{"total":"`, "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := newClient(Options{URL: "http://flowise.invalid", Credential: Credential{APIKey: secret}})
		if err != nil {
			t.Fatal(err)
		}
		c.http.Transport = responses(func(r *http.Request) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			switch r.URL.Path {
			case "/api/v1/chatflows":
				_, _ = w.Write(body)
			case "/api/v1/version":
				fmt.Fprint(w, `{"version":"3.1.4"}`)
			default:
				fmt.Fprint(w, "[]")
			}
			w.Header().Set("Content-Type", "application/json")
			return w
		})
		found, err := c.read(t.Context())
		if (found == nil) == (err == nil) {
			t.Errorf("Read(%q) = %v, %v, want one of them", body, found, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("Read(%q) = %q, want an error on one plain line", body, err)
		}
	})
}

// responses is a transport without a network.
type responses func(*http.Request) *httptest.ResponseRecorder

// RoundTrip implements [http.RoundTripper].
func (r responses) RoundTrip(req *http.Request) (*http.Response, error) { return r(req).Result(), nil }
