package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// What must not be in anything that the gate writes: secrets, digests of known keys, and what clients and upstreams send
// to each other.
var (
	knownSecrets = []string{secretA, secretB, secretOps, secretExpired, secretDisabled, secretFuture}
	private      = []string{
		"an-unknown-secret-0123", "query-string", "body-text", "header-text", "upstream-session", "upstream-credential", "upstream-word", "cookie-text",
	}
)

// digestFile is the tests' key file with digests in place of secrets.
func digestFile() string {
	content := keyFile
	for _, s := range knownSecrets {
		content = strings.Replace(content, "secret: "+s, "sha256: "+keystore.DigestOf(s).String(), 1)
	}
	return content
}

// checkSecrets searches texts for all of these.
func checkSecrets(t *testing.T, where map[string]string) {
	t.Helper()
	words := slices.Concat(knownSecrets, private)
	for _, s := range knownSecrets {
		words = append(words, keystore.DigestOf(s).String())
	}
	for name, text := range where {
		if text == "" {
			t.Errorf("%s = nothing, want something to search", name)
		}
		for _, w := range words {
			if strings.Contains(strings.ToLower(text), strings.ToLower(w)) {
				t.Errorf("%s has %q in it:\n%.2000s", name, w, text)
			}
		}
	}
}

// TestNothingSecretIsLogged searches everything that the gate writes for the contents of requests and responses, at every
// log level and with each of the gate's own responses.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	for level := zerolog.TraceLevel; level <= zerolog.ErrorLevel; level++ {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			credential := testkit.WriteFile(t, "credential", "upstream-credential")
			log, next := &testkit.Buffer{}, make(chan string)
			s := serveGateWith(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Set-Cookie", "session=upstream-session")
				switch {
				case strings.HasPrefix(r.URL.Path, "/api/v1/chatflows-uploads/"):
					untilGone(r) // without a response
				case r.URL.Path == "/api/v1/prediction/"+botB:
					panic(http.ErrAbortHandler)
				case r.URL.Path == "/api/v1/webhook/"+botA:
					events(next)(w, r)
				}
				_, _ = io.Copy(io.Discard, r.Body)
			}, time.Minute, func(o *proxy.Options) {
				withKeys(t, digestFile())(o)
				o.Log = zerolog.New(log).Level(level)
				o.MaxBody, o.UpstreamTimeout = 1000, 500*time.Millisecond
				o.Upstream.User = mustURL(t, "http://user:upstream-word@x").User
				var err error
				if o.UpstreamAuthorization, err = keystore.ParseUpstreamAuthorization("file:" + credential); err != nil {
					t.Fatal(err)
				}
			})
			var responses strings.Builder
			codes := map[string]bool{}
			send := func(method, target, body string, headers ...string) {
				res := s.request(t, method, target, body, append(headers, "Cookie: cookie-text", "X-Header: header-text")...)
				_ = res.header.Write(&responses)
				responses.WriteString(res.body)
				codes[res.problem.Code] = true
			}
			for _, secret := range append(slices.Clone(knownSecrets), "an-unknown-secret-0123") {
				for _, target := range []string{"/api/v1/prediction/" + botA, "/api/v1/prediction/" + botB + "?q=query-string", "/" + secret, "/api/v1/verify/apikey/" + secret, "/%41" + secret} {
					send("POST", target, `{"question":"body-text"}`, bearerOf(secret), jsonType, "X-Api-Key: "+secret)
				}
			}
			key := bearerOf(secretA)
			send("POST", "/api/v1/prediction/"+botA, "", key, "Transfer-Encoding: chunked", "", "1\r\nx\r\n0\r\nan-unknown-secret-0123\r\n")
			send("POST", "/api/v1/prediction/"+botA, "", "Authorization: "+secretA)
			send("POST", "/api/v1/prediction/"+secretA, "", key)
			send("PUT", "/api/v1/prediction/"+botA, "", key)
			send(secretA, "/api/v1/prediction/"+botA, "", key)
			send("POST", "/api/v1/prediction/"+botA, strings.Repeat("body-text", 200), key)
			send("POST", "/api/v1/leads", `{"chatflowid":"body-text"}`, key, jsonType)
			send("POST", "/api/v1/leads", `{"chatflowid":body-text`, key, jsonType)
			send("POST", "/api/v1/leads", `{}`, key, "Content-Type: header-text")
			send("GET", "/api/v1/get-upload-file?chatflowId="+botA+"&fileName=<query-string>", "", key)
			send("GET", "/api/v1/chatflows-uploads/"+botA, "", key)
			for _, path := range []string{"/metrics", "/status"} { // while there is something to show
				if got := status(t, s.adminURL+path); got != 200 {
					t.Fatalf("GET %s = %d, want 200", path, got)
				}
			}
			_, metrics := s.adminGet(t, "GET", "/metrics")
			_, state := s.adminGet(t, "GET", "/status")

			open := s.dial(t)
			fmt.Fprintf(open, "POST /api/v1/webhook/%s?query-string HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, key)
			next <- "body-text"
			s.stop()
			testkit.Eventually(t, "not being ready", func() bool { return status(t, s.adminURL+"/readyz") == 503 })
			send("POST", "/api/v1/prediction/"+botA, `{"question":"body-text"}`, key)
			close(next)
			if err := <-s.ended; err != nil {
				t.Errorf("Serve = %v, want nil", err)
			}
			for _, want := range []problem.Code{
				problem.NotCanonical, problem.BadChatflowID, problem.BadRequest, problem.MissingKey, problem.InvalidKey, problem.KeyNotForChatflow,
				problem.NotExposed, problem.MethodNotAllowed, problem.BodyTooLarge, problem.UpstreamUnreachable, problem.UpstreamTimeout, problem.Draining,
			} {
				if !codes[string(want)] {
					t.Errorf("codes of responses = %v, want %s among them", codes, want)
				}
			}
			checkSecrets(t, map[string]string{"log": log.String(), "metrics": metrics, "responses": responses.String(), "status": state})
		})
	}
}

// TestNothingSecretIsInAStack makes the gate panic in the middle of a request.
func TestNothingSecretIsInAStack(t *testing.T) {
	t.Parallel()
	for level := zerolog.TraceLevel; level <= zerolog.ErrorLevel; level++ {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			log := &testkit.Buffer{}
			s := serveGateWith(t, nil, time.Second, func(o *proxy.Options) {
				withKeys(t, digestFile())(o)
				o.Log = zerolog.New(log).Level(level)
				o.Now = func() time.Time {
					if broken.Load() {
						panic("the clock is broken")
					}
					return time.Now()
				}
			})
			broken.Store(true)
			responses := s.conversation(t, "POST /api/v1/prediction/"+botA+"?query-string HTTP/1.1\r\nHost: gate\r\n"+bearerOf(secretA)+
				"\r\nCookie: cookie-text\r\nX-Header: header-text\r\nContent-Length: 9\r\n\r\nbody-text")
			if len(responses) != 1 || responses[0].StatusCode != 500 || !responses[0].Close {
				t.Fatalf("responses = %v, want one of 500 that closes the connection", statuses(responses))
			}
			text, _ := io.ReadAll(responses[0].Body)
			if !strings.Contains(log.String(), "the clock is broken") || !strings.Contains(log.String(), "proxy.go") {
				t.Errorf("log = %s, want the panic and its stack", log)
			}
			broken.Store(false)
			_, metrics := s.adminGet(t, "GET", "/metrics")
			_, state := s.adminGet(t, "GET", "/status")
			checkSecrets(t, map[string]string{"response": string(text), "log": log.String(), "metrics": metrics, "status": state})
			if res := s.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA)); res.status != 200 {
				t.Errorf("next response = %d, want 200", res.status)
			}
		})
	}
}
