package problem

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// members are the members of a problem document, in order.
type members struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	Error     string `json:"error"`
}

const requestID = "0123456789abcdef.A-Z_z"

// write returns a response with e.
func write(e *Error) *httptest.ResponseRecorder { return writeIn(e, Document) }

func writeIn(e *Error, form Form) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.Write(w, requestID, form)
	return w
}

// TestWrite compares the body of every code, with a detail that needs escaping, with what encoding/json makes of the
// same members.
func TestWrite(t *testing.T) {
	const detail = "a \"quoted\" \\ word, a tab\t, a NUL\x00, <b>&amp;</b>, é, \u2028 and \U0001f512"
	for _, code := range Codes() {
		e := &Error{Code: code, Detail: detail, Reason: "not sent"}
		w := write(e)
		k := code.kind()
		if w.Code != e.Status() || w.Code != k.status || w.Code < 400 {
			t.Errorf("%s: status = %d, want %d", code, w.Code, k.status)
		}
		want := members{Types + string(code), k.title, k.status, detail, string(code), requestID, k.short}
		if diff := cmp.Diff(inOrder(t, want), strings.TrimSuffix(w.Body.String(), "\n")); diff != "" {
			t.Errorf("%s: body (-want +got):\n%s", code, diff)
		}
		var got members
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got != want {
			t.Errorf("%s: decoded body = %+v, %v, want %+v", code, got, err, want)
		}
		if got.Title == "" || got.Error == "" {
			t.Errorf("%s: title %q, error %q, want both", code, got.Title, got.Error)
		}
	}
}

// inOrder returns m as JSON, without the escapes for HTML and line separators that encoding/json adds.
func inOrder(t *testing.T, m members) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), `\u2028`, "\u2028")
}

// TestHeader checks the headers of each code, and those that fields of an Error add.
func TestHeader(t *testing.T) {
	always := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	const realm = `Bearer realm="flowlatch"`
	for _, tt := range []struct {
		name string
		err  Error
		want http.Header
	}{
		{"no key", Error{Code: MissingKey}, always("Www-Authenticate", realm)},
		{"invalid key", Error{Code: InvalidKey}, always("Www-Authenticate", realm+`, error="invalid_token"`)},
		{"key for another chatflow", Error{Code: KeyNotForChatflow}, always("Www-Authenticate", realm+`, error="insufficient_scope"`)},
		{"another challenge", Error{Code: InvalidKey, Challenge: "Bearer x"}, always("Www-Authenticate", "Bearer x")},
		{"challenge with a code that has none", Error{Code: BadRequest, Challenge: realm}, always("Www-Authenticate", realm)},
		{"no challenge", Error{Code: BadRequest}, always()},
		{"methods", Error{Code: MethodNotAllowed, Allow: "GET, POST"}, always("Allow", "GET, POST")},
		{"draining", Error{Code: Draining, RetryAfter: time.Second}, always("Connection", "close", "Retry-After", "1")},
		{"overloaded", Error{Code: Overloaded, RetryAfter: 90 * time.Second}, always("Retry-After", "90")},
		{"less than a second", Error{Code: TooManyFailures, RetryAfter: time.Nanosecond}, always("Retry-After", "1")},
		{"more than a second", Error{Code: TooManyFailures, RetryAfter: time.Second + time.Nanosecond}, always("Retry-After", "2")},
		{"almost two seconds", Error{Code: TooManyFailures, RetryAfter: 2*time.Second - time.Nanosecond}, always("Retry-After", "2")},
		{"not said when", Error{Code: TooManyFailures}, always()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, write(&tt.err).Header()); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestError(t *testing.T) {
	e := &Error{Code: NotExposed, Detail: "no such route", Reason: "secret"}
	if got, want := e.Error(), "not_exposed: no such route"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	for _, code := range []Code{ClientClosed, UpstreamBroken, DrainTimeout, KeyRevoked, AllowedWithoutKey, HoneyKey, "unknown", ""} {
		if got := (&Error{Code: code}).Status(); got != 0 || code.Index() != -1 {
			t.Errorf("%q: Status() = %d, Index() = %d, want 0, -1: no response has it", code, got, code.Index())
		}
	}
	seen := map[Code]bool{}
	for i, code := range Codes() {
		if code.Index() != i || seen[code] {
			t.Errorf("%q: Index() = %d, seen before: %t, want %d and once", code, code.Index(), seen[code], i)
		}
		seen[code] = true
	}
}

// FuzzDetail: whatever the detail, the body is one JSON object. Its detail is what encoding/json makes of it, and its
// other members are unchanged.
func FuzzDetail(f *testing.F) {
	for _, s := range []string{"", "plain", `"`, `\`, `","code":"x`, "\x00\x1f\x7f", "é\u2028\u2029\ufeff", "\xff", "a\xc3", "\xed\xa0\x80", "<>&'", "\U0010ffff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, detail string) {
		body := write(&Error{Code: InvalidKey, Detail: detail}).Body.Bytes()
		var got members
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("body with detail %q = %q, %v, want JSON", detail, body, err)
		}
		quoted, err := json.Marshal(detail)
		if err != nil {
			t.Fatal(err)
		}
		k := InvalidKey.kind()
		want := members{Type: Types + "invalid_key", Title: k.title, Status: 401, Code: "invalid_key", RequestID: requestID, Error: k.short}
		if err := json.Unmarshal(quoted, &want.Detail); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("body with detail %q = %+v, want %+v", detail, got, want)
		}
	})
}
