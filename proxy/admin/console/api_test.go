package console_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/proxy/admin/console"
)

// TestAPI makes a key and does everything with it. Each change applies to the next request.
func TestAPI(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	wantCall := func(when, chatflow, secret string, want int) {
		t.Helper()
		if got := g.call(t, chatflow, secret); got != want {
			t.Errorf("%s: request = %d, want %d", when, got, want)
		}
	}
	made := g.do(t, "POST", "/api/keys", `{"id": "acme", "owner": "Jane, \"Acme\" Inc.", "chatflows": ["support", "https://flows.example.com/canvas/`+strings.ToUpper(botC)+`"], "not_after": "2099-01-01",
		"limits": {"requests": ["1000/1s", "10000/month"], "concurrent": 4}}`)
	secret := made["secret"].(string)
	wantCall("a chatflow by its name", botA, secret, 200)
	wantCall("a chatflow by its address in Flowise", botC, secret, 200)
	wantCall("a chatflow of others", botB, secret, 403)
	_, key := g.api(t, "GET", "/api/keys/acme", "", "")
	for name, want := range map[string]any{
		"id": "acme", "owner": `Jane, "Acme" Inc.`, "status": "valid", "not_after": "2099-01-01T00:00:00Z",
		"limits": "1000/1s requests, 10000/month requests, 4 at once", "chatflows": []any{botA, botC},
	} {
		if diff := cmp.Diff(want, key[name]); diff != "" {
			t.Errorf("%s of the new key (-want +got):\n%s", name, diff)
		}
	}
	if key["last_used"] == nil {
		t.Error("the key was used, and nothing says when")
	}

	rotated := g.do(t, "POST", "/api/keys/acme/rotate", `{"overlap": "1h"}`)["secret"].(string)
	wantCall("the old secret within the overlap", botA, secret, 200)
	wantCall("the new secret", botA, rotated, 200)
	g.do(t, "POST", "/api/keys/acme/disable", "")
	wantCall("disabled", botA, rotated, 401)
	g.do(t, "POST", "/api/keys/acme/enable", "")
	wantCall("enabled", botA, rotated, 200)
	g.do(t, "POST", "/api/keys/acme/grant", `{"chatflows": ["`+botB+`"]}`)
	wantCall("granted", botB, rotated, 200)
	g.do(t, "POST", "/api/keys/acme/withdraw", `{"chatflows": ["`+botB+`"]}`)
	wantCall("withdrawn", botB, rotated, 403)
	g.do(t, "POST", "/api/chatflows/"+botB+"/public", "")
	wantCall("public", botB, "", 200)
	g.do(t, "POST", "/api/chatflows/"+botB+"/private", "")
	wantCall("private", botB, "", 401)
	if status, p := g.api(t, "POST", "/api/keys/acme/delete", "*", ""); status != 422 || !strings.Contains(fmt.Sprint(p["detail"]), "the only key of "+botC) {
		t.Errorf("deleting the only key of a chatflow = %d %v, want 422 and which chatflow", status, p)
	}
	g.do(t, "POST", "/api/keys/acme/delete", `{"close": true}`)
	wantCall("deleted", botA, rotated, 401)
	if got := g.file(t); got != keyFile {
		t.Errorf("after everything was undone (-before +after):\n%s", cmp.Diff(keyFile, got))
	}
	const id = "11111111-0000-4000-8000-00000000000d"
	g.do(t, "POST", "/api/chatflows", `{"id": "`+id+`", "name": "docs", "keys": ["key-a"]}`)
	wantCall("listed", id, secretA, 200)

	for _, want := range []string{
		`"action":"make","client":"192.0.2.1","by":"admin token","key":"acme","chatflows":["` + botA + `","` + botC + `"],"message":"key file changed on the console"`,
		`"action":"rotate"`, `"action":"disable"`, `"action":"enable"`, `"action":"grant"`, `"action":"withdraw"`, `"action":"make public"`, `"action":"make private"`, `"action":"delete"`, `"action":"list"`,
	} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log has no %s", want)
		}
	}
	for _, never := range []string{secret, rotated, token} {
		if strings.Contains(g.log.String(), never) || strings.Contains(g.file(t), never) {
			t.Errorf("the log or the key file has the secret %s in it", never)
		}
	}
}

// TestAPIRefuses sends what must be refused. The key file stays as it is.
func TestAPIRefuses(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	long := strings.Repeat("x", 201)
	for _, tt := range []struct {
		name, method, path, body string
		code                     string
		detail                   string
	}{
		{"no such key", "GET", "/api/keys/key-b", "", "not_found", "did you mean key-a?"},
		{"no such key to rotate", "POST", "/api/keys/nobody/rotate", "", "not_found", "there is no key"},
		{"no such key to grant", "POST", "/api/keys/nobody/grant", `{"chatflows": ["support"]}`, "not_found", "there is no key"},
		{"a secret for an ID", "POST", "/api/keys/" + secretA + "/disable", "", "not_found", `this is the secret of key \"key-a\"`},
		{"no such chatflow", "POST", "/api/chatflows/" + botC + "/public", "", "not_found", "no chatflow"},
		{"an ID that is taken", "POST", "/api/keys", `{"id": "key-a"}`, "refused", "there is a key"},
		{"no ID", "POST", "/api/keys", `{}`, "refused", "key ID"},
		{"an ID of two", "POST", "/api/keys", `{"id": "a, b"}`, "refused", "key ID"},
		{"an ID of several lines", "POST", "/api/keys", `{"id": "a\n  - {id: b}"}`, "refused", "key ID"},
		{"a secret as a new ID", "POST", "/api/keys", `{"id": "fl_0123456789abcdefghij"}`, "refused", "looks like a secret"},
		{"an owner of several lines", "POST", "/api/keys", `{"id": "x", "owner": "Jane\ndisabled: true"}`, "refused", "owner"},
		{"an owner that is long", "POST", "/api/keys", `{"id": "x", "owner": "` + long + `"}`, "refused", "at most 200"},
		{"a chatflow that is none", "POST", "/api/keys", `{"id": "x", "chatflows": ["nothing"]}`, "refused", "neither the name"},
		{"a chatflow of several", "POST", "/api/keys", `{"id": "x", "chatflows": ["` + botA + ", " + botB + `"]}`, "refused", "neither the name"},
		{"a name and an address", "POST", "/api/keys", `{"id": "x", "chatflows": ["support, https://flows.example.com/canvas/` + botB + `"]}`, "refused", "neither the name"},
		{"an address without an ID", "POST", "/api/keys", `{"id": "x", "chatflows": ["https://flows.example.com/canvas/"]}`, "refused", "neither the name"},
		{"a time that is none", "POST", "/api/keys", `{"id": "x", "not_after": "tomorrow"}`, "malformed", "want a day"},
		{"a time in the past", "POST", "/api/keys", `{"id": "x", "not_after": "2020-01-01"}`, "refused", "in the past"},
		{"the time that Go takes for none", "POST", "/api/keys", `{"id": "x", "not_after": "0001-01-01"}`, "malformed", "want a day"},
		{"never valid", "POST", "/api/keys", `{"id": "x", "chatflows": ["support"], "not_before": "2099-01-02", "not_after": "2099-01-01"}`, "refused", "is never valid"},
		{"limits that are none", "POST", "/api/keys", `{"id": "x", "limits": {"requests": "often"}}`, "refused", "often"},
		{"limits of more", "POST", "/api/keys", `{"id": "x", "limits": {"concurrent": 1}, "honey": true}`, "malformed", "unknown field"},
		{"limits and a field", "POST", "/api/keys", `{"id": "x", "limits": {"concurrent": 1, "disabled": true}}`, "refused", "disabled"},
		{"limits that are text", "POST", "/api/keys", `{"id": "x", "limits": "concurrent: 1"}`, "malformed", "want an object"},
		{"an overlap that is none", "POST", "/api/keys/key-a/rotate", `{"overlap": "long"}`, "malformed", "a duration from now such as 90d"},
		{"an overlap below zero", "POST", "/api/keys/key-a/rotate", `{"overlap": "-1h"}`, "malformed", "a duration from now such as 90d"},
		{"an overlap without a unit", "POST", "/api/keys/key-a/rotate", `{"overlap": "24"}`, "malformed", "such as 24s, 24m, 24h or 24d"},
		{"an overlap that is over", "POST", "/api/keys/key-a/rotate", `{"overlap": "2020-01-01"}`, "refused", "0 ends the old secret at once"},
		{"rotating a disabled key", "POST", "/api/keys/off/rotate", "", "refused", "is disabled"},
		{"disabling a disabled key", "POST", "/api/keys/off/disable", "", "refused", "is disabled already"},
		{"enabling an enabled key", "POST", "/api/keys/key-a/enable", "", "refused", "is not disabled"},
		{"granting nothing", "POST", "/api/keys/key-a/grant", `{}`, "malformed", "name one or more"},
		{"withdrawing what is not granted", "POST", "/api/keys/off/withdraw", `{"chatflows": ["` + botB + `"]}`, "refused", "does not list key"},
		{"the only key of a chatflow", "POST", "/api/keys/key-a/withdraw", `{"chatflows": ["` + botB + `"]}`, "refused", `is the only key of ` + botB + `, and a chatflow without a key cannot be listed; grant it to another key first, or close it, which removes its entry with name and limits: send \"close\": true for that`},
		{"a chatflow that is listed", "POST", "/api/chatflows", `{"id": "support", "public": true}`, "refused", "is listed already"},
		{"a chatflow for nobody", "POST", "/api/chatflows", `{"id": "` + botC + `"}`, "refused", "neither `keys:` nor `public: true`"},
		{"a chatflow for a key that is not there", "POST", "/api/chatflows", `{"id": "` + botC + `", "keys": ["nobody"]}`, "refused", "there is no key"},
		{"every chatflow, public", "POST", "/api/chatflows", `{"id": "*", "public": true}`, "refused", "cannot be public"},
		{"private without a key", "POST", "/api/chatflows/*/private", "", "not_found", "no chatflow"},
		{"no JSON", "POST", "/api/keys", "id=x", "malformed", "cannot be read"},
		{"two objects", "POST", "/api/keys", `{"id": "x"} {"id": "y"}`, "malformed", "behind the JSON object"},
		{"a list", "POST", "/api/keys", `[{"id": "x"}]`, "malformed", "cannot be read"},
		{"a member that nobody knows", "POST", "/api/keys", `{"id": "x", "public": true}`, "malformed", "unknown field"},
		{"a large body", "POST", "/api/keys", `{"id": "` + strings.Repeat("x", 70<<10) + `"}`, "malformed", "too large"},
		{"an offset that is none", "GET", "/api/keys?offset=-1", "", "malformed", "offset"},
	} {
		status, p := g.api(t, tt.method, tt.path, "*", tt.body)
		want := console.StatusOf(tt.code)
		if text := fmt.Sprintf("%q", p["detail"]); status != want || p["code"] != tt.code || !strings.Contains(text, tt.detail) || p["secret"] != nil {
			t.Errorf("%s: %s %s = %d %v, want %d %s with %s", tt.name, tt.method, tt.path, status, p, want, tt.code, tt.detail)
		}
	}
	if got := g.file(t); got != keyFile {
		t.Errorf("the key file has changed:\n%s", cmp.Diff(keyFile, got))
	}
	w := g.request("POST", "/api/keys", `{"id": "x"}`, "Authorization: Bearer "+token, "If-Match: *", "Content-Type: text/plain")
	if w.Code != 400 || !strings.Contains(w.Body.String(), "application/json") {
		t.Errorf("a body of another type = %d %s, want 400", w.Code, w.Body)
	}
}

// TestAPIVersions has two programs edit the same version, and somebody edit the file by hand.
func TestAPIVersions(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	seen := g.version(t)
	if status, p := g.api(t, "POST", "/api/keys/key-a/rotate", seen, ""); status != 200 {
		t.Fatalf("first change = %d %v", status, p)
	}
	status, p := g.api(t, "POST", "/api/keys/key-a/disable", seen, "")
	if now := strings.Trim(g.version(t), `"`); status != 412 || p["code"] != "version_changed" || p["version"] != now {
		t.Errorf("second change of the same version = %d %v, want 412 with version %s", status, p, now)
	}
	seen = g.version(t)
	testkit.ReplaceFile(t, g.keys, keyFile+"# by hand\n")
	if status, p := g.api(t, "POST", "/api/keys/key-a/disable", seen, ""); status != 412 {
		t.Errorf("change of a file that was changed below = %d %v, want 412", status, p)
	}
	if status, p := g.api(t, "POST", "/api/keys/key-a/disable", g.version(t), ""); status != 200 {
		t.Errorf("the same of the version that is there = %d %v, want 200", status, p)
	}
	for name, version := range map[string]string{"none": "", "no quotes": "abc", "half of the quotes": `"abc`, "weak": `W/"abc"`, "empty": `""`} {
		want := map[bool]int{true: 428, false: 400}[version == ""]
		if status, p := g.api(t, "POST", "/api/keys/key-a/enable", version, ""); status != want {
			t.Errorf("If-Match, %s = %d %v, want %d", name, status, p, want)
		}
	}

	testkit.ReplaceFile(t, g.keys, "version: 1\nkeys: [")
	if status, p := g.api(t, "POST", "/api/keys/key-a/enable", "*", ""); status != 409 || p["code"] != "key_file_invalid" {
		t.Errorf("change of an invalid file = %d %v, want 409", status, p)
	}
	testkit.ReplaceFile(t, g.keys, keyFile+"#"+strings.Repeat("x", 2<<20))
	if status, p := g.api(t, "GET", "/api/keys", "", ""); status != 409 || !strings.Contains(fmt.Sprint(p["detail"]), "larger than 2 MiB, the most that is read; change it by `flowlatch key`") {
		t.Errorf("list of a file of 2 MiB = %d %v, want 409 and what to do", status, p)
	}
	if err := os.Remove(g.keys); err != nil {
		t.Fatal(err)
	}
	if status, p := g.api(t, "GET", "/api/keys", "", ""); status != 409 || p["code"] != "key_file_invalid" {
		t.Errorf("list of a file that is gone = %d %v, want 409", status, p)
	}
}

// TestAPIFileNotWritable has a key file that cannot be replaced: the response has what it should become.
func TestAPIFileNotWritable(t *testing.T) {
	t.Parallel()
	g := newGateAt(t, unwritable(t), token)
	status, p := g.api(t, "POST", "/api/keys", "*", `{"id": "acme", "chatflows": ["support"]}`)
	next, _ := p["new_file"].(string)
	secret, _ := p["secret"].(string)
	if status != 409 || p["code"] != "not_writable" || !strings.Contains(next, "id: acme") || secret == "" {
		t.Fatalf("change = %d %v, want 409 with the new file and the secret", status, p)
	}
	if got := g.file(t); got != keyFile {
		t.Errorf("the key file has changed: %s", got)
	}
	if err := os.WriteFile(g.keys, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	g.request("POST", "/-/reload", "")
	if got := g.call(t, botA, secret); got != 200 {
		t.Errorf("request with the new secret, after the new file was applied = %d, want 200", got)
	}
	if !strings.Contains(g.log.String(), "key file cannot be written; a change on the console was not made") {
		t.Error("the log does not say that the file cannot be written")
	}
	// A page does not say which command to use instead, because it has the new file.
	err := fmt.Errorf("writing: %w", &edit.UnwritableError{File: "keys.yaml", Why: "it is on a read-only file system"})
	if got, want := console.WhyUnwritten(err), "keys.yaml: it is on a read-only file system"; got != want {
		t.Errorf("detail of a file that cannot be written = %q, want %q", got, want)
	}
}

// TestAPINeedsToken asks for each operation without the token, with another token, with a cookie, and at a gate that
// has no token.
func TestAPINeedsToken(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	closed := newGateAt(t, testkit.WriteFile(t, "keys.yaml", keyFile), "")
	cookie := g.signIn(t)
	for _, op := range console.Operations() {
		path := strings.Replace(op.Path, "{id}", "key-a", 1)
		for name, headers := range map[string][]string{
			"no token": nil, "another token": {"Authorization: Bearer " + strings.Repeat("0", 32)}, "a key": {"Authorization: Bearer " + secretA}, "a session": {cookie},
		} {
			w := g.request(op.Method, path, "{}", append(headers, "If-Match: *")...)
			if tooMany := w.Code == 429 && w.Header().Get("Retry-After") != ""; !tooMany && (w.Code != 401 || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer")) || strings.Contains(w.Body.String(), "key-a") {
				t.Errorf("%s %s with %s = %d %s, want 401 or 429", op.Method, path, name, w.Code, w.Body)
			}
		}
		if w := closed.request(op.Method, path, "{}", "Authorization: Bearer "+token, "If-Match: *"); w.Code != 403 || !strings.Contains(w.Body.String(), `"code":"read_only"`) {
			t.Errorf("%s %s of a gate without a token = %d %s, want 403 read_only", op.Method, path, w.Code, w.Body)
		}
	}
	if g.file(t) != keyFile || closed.file(t) != keyFile {
		t.Error("a key file has changed")
	}
}
