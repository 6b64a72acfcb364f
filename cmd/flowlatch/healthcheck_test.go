package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealthcheckForeign asks servers that are not an admin listener, and an admin listener that is not ready.
func TestHealthcheckForeign(t *testing.T) {
	const foreign = "is not the admin listener of flowlatch; name that with --admin"
	for name, test := range map[string]struct {
		status int
		body   string
		code   int
		want   string
	}{
		"ready":              {http.StatusOK, "ok\n", exitOK, ""},
		"draining":           {http.StatusServiceUnavailable, "draining\n", exitFailed, "not ready: draining"},
		"a page":             {http.StatusOK, "<html>Welcome</html>", exitFailed, foreign},
		"a page that is not": {http.StatusNotFound, "<html>" + strings.Repeat("Not found", 1000) + "</html>", exitFailed, foreign},
		"the client's port":  {http.StatusNotFound, `{"code":"not_exposed"}`, exitFailed, foreign},
		"nothing":            {http.StatusOK, "", exitFailed, foreign},
		"nothing, not found": {http.StatusNotFound, "", exitFailed, foreign},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		}))
		code, stdout, stderr := flowlatch(t, "healthcheck", "--admin", strings.TrimPrefix(server.URL, "http://"))
		server.Close()
		if code != test.code || !strings.Contains(stderr, test.want) || len(stderr) > 300 || code != exitOK && stdout != "" {
			t.Errorf("%s: healthcheck = %d, %q, %q, want %d and %q", name, code, stdout, stderr, test.code, test.want)
		}
	}
}
