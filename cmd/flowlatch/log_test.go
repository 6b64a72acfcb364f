package main

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestRequestLog checks that every request is logged in one line, and that nothing the client may choose freely is in the
// log: no path, no query, no body, no secret.
func TestRequestLog(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho(), "--log-level", "debug")
	const private = "private-part-of-the-request"
	prediction := "/api/v1/prediction/" + webChatflow
	file := "/api/v1/get-upload-file?chatflowId=" + webChatflow + "&chatId=c1&fileName=" + private
	requests := []struct {
		name, method, target, key string
		want                      testkit.Line
	}{
		{"allowed", http.MethodPost, prediction + "?" + private, g.web, testkit.Line{
			"level": "info", "route": "prediction", "chatflow": "support-bot", "key": "acme-web", "decision": "allow", "status": 200.0,
		}},
		{"allowed by query", http.MethodGet, file, g.web, testkit.Line{
			"level": "info", "route": "get-upload-file", "chatflow": "support-bot", "key": "acme-web", "decision": "allow", "status": 200.0,
		}},
		{"other key", http.MethodPost, prediction, g.batch, testkit.Line{
			"level": "warn", "route": "prediction", "chatflow": "support-bot", "key": "batch", "decision": "refuse", "status": 403.0, "code": "key_not_for_chatflow",
		}},
		{"wrong key", http.MethodPost, prediction, private, testkit.Line{
			"level": "warn", "route": "prediction", "chatflow": "support-bot", "decision": "refuse", "status": 401.0, "code": "invalid_key",
		}},
		{"no key", http.MethodPost, prediction, "", testkit.Line{
			"level": "warn", "route": "prediction", "chatflow": "support-bot", "decision": "refuse", "status": 401.0, "code": "missing_key",
		}},
		{"unlisted", http.MethodPost, "/api/v1/prediction/d15ab1ed-5555-4666-8777-888899990000", g.web, testkit.Line{
			"level": "warn", "route": "prediction", "key": "acme-web", "decision": "refuse", "status": 403.0, "code": "key_not_for_chatflow",
		}},
		{"not exposed", http.MethodGet, "/api/v1/verify/apikey/" + private, g.web, testkit.Line{
			"level": "warn", "decision": "refuse", "status": 404.0, "code": "not_exposed",
		}},
		{"not exposed, soon", http.MethodGet, "/" + private + "/" + private, g.web, testkit.Line{
			"level": "warn", "decision": "refuse", "status": 404.0, "code": "not_exposed",
		}},
		{"not exposed, short", http.MethodGet, "/private-part-16c", g.web, testkit.Line{
			"level": "warn", "decision": "refuse", "status": 404.0, "code": "not_exposed",
		}},
		{"not canonical", http.MethodPost, "/" + private + "%2f" + prediction, g.web, testkit.Line{
			"level": "warn", "decision": "refuse", "status": 400.0, "code": "not_canonical",
		}},
		{"bad ID", http.MethodPost, "/api/v1/prediction/" + private, g.web, testkit.Line{
			"level": "warn", "route": "prediction", "decision": "refuse", "status": 400.0, "code": "bad_chatflow_id",
		}},
		{"method", "PRIVATE-PART", prediction, g.web, testkit.Line{
			"level": "warn", "decision": "refuse", "status": 405.0, "code": "method_not_allowed",
		}},
	}
	changing := cmpopts.IgnoreMapEntries(func(k string, _ any) bool {
		switch k {
		case "time", "message", "reason", "request_id", "bytes", "ttfb_ms", "duration_ms":
			return true
		}
		return false
	})
	for i, r := range requests {
		res := send(t, r.method, g.URL+r.target, r.key, `{"question":"`+private+`"}`)
		testkit.Eventually(t, "log line of "+r.name, func() bool { return len(g.Logged(t, "request")) > i })
		line := g.Logged(t, "request")[i]
		r.want["method"], r.want["client"], r.want["stream"] = r.method, "127.0.0.1", false
		if r.name == "method" {
			r.want["method"] = "other"
		}
		if diff := cmp.Diff(r.want, line, changing); diff != "" {
			t.Errorf("log line of %s (-want +got):\n%s", r.name, diff)
		}
		if got := res.header.Get("X-Request-Id"); got == "" || line["request_id"] != got {
			t.Errorf("request_id in the log line of %s = %v, want %q, as in the response", r.name, line["request_id"], got)
		}
		for _, field := range []string{"time", "bytes", "ttfb_ms", "duration_ms"} {
			if line[field] == nil {
				t.Errorf("log line of %s = %v, want a field %q", r.name, line, field)
			}
		}
	}
	g.WantExit(t, syscall.SIGTERM)
	if got, want := len(g.Logged(t, "request")), len(requests); got != want {
		t.Errorf("log lines of requests = %d, want %d", got, want)
	}
	log := g.Stderr.String()
	for _, secret := range []string{g.web, g.batch, private, "private-part", "PRIVATE-PART", "chatId", "fileName", prediction, "/apikey", "Hello", "Bearer"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q in it:\n%s", secret, log)
		}
	}
}

func TestConsoleLog(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"FLOWLATCH_LOG_FORMAT=console"},
		"serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", testkit.WriteFile(t, "keys.yaml", publicKeyFile))
	testkit.Eventually(t, "start-up line", func() bool { return strings.Contains(p.Stderr.String(), " INF serving ") || p.Ended() })
	if got := p.Stderr.String(); strings.Contains(got, "{") || strings.Contains(got, "\x1b") {
		t.Errorf("log for the console = %q, want no JSON, and no colours where there is no terminal", got)
	}
	p.WantExit(t, syscall.SIGTERM)
}

// TestPlainSecretIsNotShown checks that a secret in plain text in the key file causes a warning, and is neither in the log
// nor on the admin listener.
func TestPlainSecretIsNotShown(t *testing.T) {
	t.Parallel()
	const plain = "plain-text-secret-of-acme-0001"
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys:\n  - id: acme-web\n    secret: "+plain+"\nchatflows:\n  - id: "+webChatflow+"\n    keys: [acme-web]\n")
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys)
	g := testkit.Serving(t, p)
	if res := send(t, http.MethodPost, g.URL+"/api/v1/prediction/"+webChatflow, plain, "{}"); res.status == http.StatusUnauthorized {
		t.Errorf("predict with the secret = %d, want it accepted", res.status)
	}
	warned := false
	for _, line := range p.Log(t) {
		message, _ := line["message"].(string)
		warned = warned || line["level"] == "warn" && strings.Contains(message, keys+`:4: key "acme-web" has its secret in plain text`)
	}
	if !warned {
		t.Errorf("log = %q, want a warning about the secret in plain text", &p.Stderr)
	}
	for _, path := range []string{"/status", "/metrics"} {
		if res := send(t, http.MethodGet, g.Admin+path, "", ""); res.status != http.StatusOK || strings.Contains(res.body, plain) {
			t.Errorf("GET %s = %d %q, want 200 without the secret", path, res.status, res.body)
		}
	}
	p.WantExit(t, syscall.SIGTERM)
	if strings.Contains(p.Stderr.String(), plain) {
		t.Errorf("log = %q, want the secret nowhere in it", &p.Stderr)
	}
}

// TestLogAllowed checks that log_allowed=false, wherever it is set, leaves the lines of refused requests only.
func TestLogAllowed(t *testing.T) {
	t.Parallel()
	file := testkit.WriteFile(t, "flowlatch.yaml", "log_allowed: false\n")
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		want []float64 // the status of each line
	}{
		{"default", nil, nil, []float64{200, 401}},
		{"true", nil, []string{"--log-allowed=true"}, []float64{200, 401}},
		{"alone", nil, []string{"--log-allowed"}, []float64{200, 401}},
		{"false", nil, []string{"--log-allowed=false"}, []float64{401}},
		{"false, debug", nil, []string{"--log-allowed=false", "--log-level", "debug"}, []float64{401}},
		{"environment", []string{"FLOWLATCH_LOG_ALLOWED=false"}, nil, []float64{401}},
		{"file", nil, []string{"--config", file}, []float64{401}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := startGateWith(t, testkit.Options{Upstream: testkit.Upstream(t, newEcho()).URL, Env: tt.env, Args: tt.args})
			if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
				t.Fatalf("predict = %d, want 200", res.status)
			}
			g.predict(t, webChatflow, "")
			g.WantExit(t, syscall.SIGTERM)
			var got []float64
			for _, line := range g.Logged(t, "request") {
				status, _ := line["status"].(float64)
				got = append(got, status)
			}
			slices.Sort(got) // a line may be written after the client has read the response
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("status of requests' lines (-want +got):\n%s", diff)
			}
			if len(g.Logged(t, "key file applied")) != 1 {
				t.Error("no line about the key file, want lines that are not about requests in any case")
			}
		})
	}
}
