package flowise

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReadRefused(t *testing.T) {
	for _, tt := range []struct {
		name       string
		version    string
		credential Credential
		want       []string
	}{
		{"2.2, wrong password", "2.2.8", Credential{User: "admin", Password: "no"}, []string{"401", "user or password are wrong"}},
		{"2.2, wrong API key", "2.2.8", Credential{APIKey: "no-such-key-at-all"}, []string{"401", "API key is not one of this Flowise"}},
		{"2.2, nothing", "2.2.8", Credential{}, []string{"401", "wants a credential; use --user"}},
		{"2.2, an account", "2.2.8", Credential{Email: "a@b", Password: password}, []string{"no accounts", "--user"}},
		{"3.0.0 has users, wrong password", "3.0.0", Credential{User: "x", Password: password}, []string{"401", "user or password are wrong"}},
		{"3.1, wrong password", "3.1.4", Credential{Email: "me@example.com", Password: "no"}, []string{"POST /api/v1/auth/login", "401", "Incorrect Email or Password", "e-mail address or password are wrong"}},
		{"3.1, wrong API key", "3.1.4", Credential{APIKey: "no-such-key-at-all"}, []string{"401", "API key is not one of this Flowise"}},
		{"3.1, API key without permission", "3.1.4", Credential{APIKey: weak}, []string{"GET /api/v1/apikey", "403", "apikeys:view", "--email"}},
		{"3.1, a user", "3.1.4", Credential{User: "admin", Password: password}, []string{"wants an account or an API key"}},
		{"3.1, nothing", "3.1.4", Credential{}, []string{"wants an account or an API key"}},
		{"user with a colon", "2.2.8", Credential{User: "a:b", Password: password}, []string{"colon"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStandIn(tt.version, 3)
			_, err := Read(t.Context(), Options{URL: s.start(t).URL, Credential: tt.credential, Flags: true})
			wantError(t, err, tt.want...)
			if p := tt.credential.Password + tt.credential.APIKey; len(p) > 3 && strings.Contains(err.Error(), p) {
				t.Errorf("Read() = %v, want no secret in it", err)
			}
		})
	}
}

// Whatever responds in place of Flowise, the result is an error that says what to do.
func TestReadNotFlowise(t *testing.T) {
	const version = `{"version":"3.1.4"}`
	for _, tt := range []struct {
		name    string
		path    string // where the response differs from a Flowise's
		status  int
		kind    string
		body    string
		address string // appended to the server's address
		want    []string
	}{
		{"a web page", "/api/v1/version", 200, "text/html", "<!doctype html>", "", []string{"not a Flowise", "web page"}},
		{"a web page without a type", "/api/v1/version", 200, "application/octet-stream", "<!doctype html>", "", []string{"not a Flowise", "invalid character"}},
		{"other JSON", "/api/v1/version", 200, "application/json", `{"status":"ok"}`, "", []string{"not a Flowise", "no version"}},
		{"a version of a kind", "/api/v1/version", 200, "application/json", `{"version":"\u001b[31m"}`, "", []string{"not a Flowise", "no version"}},
		{"a gate", "/api/v1/version", 404, "application/problem+json", `{"code":"not_exposed"}`, "", []string{"not a Flowise", "as a flowlatch does"}},
		{"nothing there", "/api/v1/version", 404, "text/plain", "404 page not found", "", []string{"not a Flowise", "knows no GET /api/v1/version"}},
		{"a wrong path", "/canvas/api/v1/version", 401, "application/json", `{"error":"Unauthorized Access"}`, "/canvas", []string{"not a Flowise", "wrong path"}},
		{"a bad gateway", "/api/v1/version", 502, "text/html", "<h1>502</h1>", "", []string{"502", "log may say why"}},
		{"an error of Flowise", "/api/v1/chatflows", 500, "application/json", `{"message":"Error: db\n\u001b[2J` + strings.Repeat("x", 500) + `"}`, "", []string{`500, "Error: db [2Jxxx`, "x…\""}},
		{"an error that tells the secret", "/api/v1/chatflows", 500, "application/json", `{"message":"bad ` + secret + `"}`, "", []string{"500; "}},
		{"a redirect", "/api/v1/chatflows", 302, "text/html", "", "", []string{"redirect", `"https://elsewhere.example/\"x"`, "none is followed"}},
		{"chatflows as a web page", "/api/v1/chatflows", 200, "text/html", "<html>", "", []string{"not a Flowise", "GET /api/v1/chatflows"}},
		{"chatflows as text", "/api/v1/chatflows", 200, "application/json", `"none"`, "", []string{"not a Flowise", "no list"}},
		{"chatflows as an object", "/api/v1/chatflows", 200, "application/json", `{"message":"none"}`, "", []string{"not a Flowise", "no list"}},
		{"chatflows in a wrong list", "/api/v1/chatflows", 200, "application/json", `{"data":{}}`, "", []string{"not a Flowise", "no list"}},
		{"chatflows of a wrong kind", "/api/v1/chatflows", 200, "application/json", `[{"id":7}]`, "", []string{"not a Flowise", "cannot unmarshal number"}},
		{"total of a wrong kind", "/api/v1/chatflows", 200, "application/json", `{"data":[],"total":"x"}`, "", []string{"not a Flowise"}},
		{"chatflows broken off", "/api/v1/chatflows", 200, "application/json", `[{"id":"a"},{"id"`, "", []string{"broke off", "try again"}},
		{"chatflows broken off in the list", "/api/v1/chatflows", 200, "application/json", `[{"id":"a"}`, "", []string{"broke off"}},
		{"chatflows empty", "/api/v1/chatflows", 200, "application/json", "", "", []string{"broke off"}},
		{"a total that is never reached", "/api/v1/chatflows", 200, "application/json", `{"data":[{"id":"a"}],"total":900}`, "", []string{"changed while they were read"}},
		{"the same page for ever", "/api/v1/chatflows", 200, "application/json", `{"data":[{"id":"a"}],"total":9000000000000000000}`, "", []string{"changed while they were read"}},
		{"a chatflow without an end", "/api/v1/chatflows", 200, "application/json", `[{"id":"` + strings.Repeat("x", 90_000) + `"}]`, "", []string{"larger than any"}},
		{"chatflows without an end", "/api/v1/chatflows", 200, "application/json", "[" + strings.Repeat(`{"id":"a"},`, 9000) + `{"id":"a"}]`, "", []string{"larger than any"}},
		{"keys as a web page", "/api/v1/apikey", 200, "text/html", "<html>", "", []string{"not a Flowise", "GET /api/v1/apikey"}},
		{"a session without cookies", "/api/v1/auth/login", 200, "application/json", `{}`, "", []string{"no session"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			followed := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case tt.path:
					w.Header().Set("Content-Type", tt.kind)
					w.Header().Set("Location", "https://elsewhere.example/\"x")
					w.WriteHeader(tt.status)
					fmt.Fprint(w, tt.body)
				case "/api/v1/version":
					fmt.Fprint(w, version)
				case "/api/v1/auth/login":
					http.SetCookie(w, &http.Cookie{Name: "token", Value: session})
					fmt.Fprint(w, "{}")
				default:
					followed = followed || strings.Contains(r.URL.Path, "elsewhere")
					fmt.Fprint(w, "[]")
				}
			}))
			defer server.Close()
			o := Options{URL: server.URL + tt.address, Credential: Credential{APIKey: secret}}
			if strings.HasSuffix(tt.path, "/login") {
				o.Credential = Credential{Email: "me@example.com", Password: password}
			}
			c, err := newClient(o)
			if err != nil {
				t.Fatal(err)
			}
			c.maxResponse = 64 << 10
			_, err = c.read(t.Context())
			wantError(t, err, append(tt.want, server.URL)...)
			if followed || strings.ContainsAny(err.Error(), "\n\x1b") || strings.Contains(err.Error(), secret) {
				t.Errorf("Read(%s) = %q, want one plain line without the secret, and no redirect followed", tt.name, err)
			}
		})
	}
}

func TestReadUnreachable(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	secure := httptest.NewUnstartedServer(newStandIn("3.1.4", 3))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plain := newStandIn("3.1.4", 3).start(t)
	stop := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half/api/v1/version" {
			fmt.Fprint(w, `{"version"`)
			_ = http.NewResponseController(w).Flush()
		}
		<-stop
	}))
	defer slow.Close()
	defer close(stop)

	for _, tt := range []struct {
		name, url string
		timeout   time.Duration
		want      []string
	}{
		{"nobody listens", closed.URL, 0, []string{"cannot be reached", "is it running"}},
		{"an unknown authority", secure.URL, 0, []string{"cannot be reached", "--upstream-ca"}},
		{"no TLS there", strings.Replace(plain.URL, "http:", "https:", 1), 0, []string{"does not speak TLS", "http://"}},
		{"TLS there", strings.Replace(secure.URL, "https:", "http:", 1), 0, []string{"400"}},
		{"no response", slow.URL, 200 * time.Millisecond, []string{"no response within 200ms", "--timeout"}},
		{"half a response", slow.URL + "/half", 200 * time.Millisecond, []string{"not complete within 200ms", "--timeout"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(t.Context(), Options{URL: tt.url, Credential: Credential{APIKey: secret}, Timeout: tt.timeout, Flags: true})
			wantError(t, err, append(tt.want, tt.url)...)
		})
	}

	roots := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := Read(t.Context(), Options{URL: secure.URL, Credential: Credential{APIKey: secret}, RootCAs: roots}); err != nil {
		t.Errorf("Read(https) = %v, want no error", err)
	}
	other := strings.Replace(secure.URL, "127.0.0.1", "localhost", 1)
	_, err := Read(t.Context(), Options{URL: other, Credential: Credential{APIKey: secret}, RootCAs: roots})
	wantError(t, err, "cannot be reached", "name that its certificate is valid for")
}
