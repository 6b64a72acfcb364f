package flowise

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// standIn responds like a Flowise of one version with these users, accounts and keys.
type standIn struct {
	version   string
	user      string // of a 2.x; empty if none is set
	email     string // of a 3.x
	password  string
	chatflows []map[string]any
	keys      []map[string]any
	apiKeys   map[string][]string // permissions by secret

	mu       sync.Mutex
	requests []string // guarded by mu
}

const session = "session-of-the-stand-in"

func (s *standIn) start(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server
}

func (s *standIn) is2() bool { return strings.HasPrefix(s.version, "2.") }

// ServeHTTP follows index.ts, the middleware and the controllers of Flowise 2.2.8 and 3.1.4.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/api/v1/version":
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Request-From") != "" {
			http.Error(w, "a credential before it is known who is asked", http.StatusTeapot)
			return
		}
		reply(w, http.StatusOK, map[string]string{"version": s.version})
		return
	case r.URL.Path == "/api/v1/auth/login" && r.Method == http.MethodPost && !s.is2():
		s.login(w, r)
		return
	}
	if status := s.authorize(r); status != http.StatusOK {
		reply(w, status, map[string]string{"error": "Unauthorized Access", "message": "Forbidden"})
		return
	}
	switch r.URL.Path {
	case "/api/v1/chatflows":
		s.page(w, r)
	case "/api/v1/apikey":
		reply(w, http.StatusOK, s.keys)
	default:
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		fmt.Fprint(w, "<!doctype html>")
	}
}

func (s *standIn) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ Email, Password string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("X-Request-From") != "internal" {
		reply(w, http.StatusInternalServerError, nil)
		return
	}
	if body.Email != s.email || body.Password != s.password {
		reply(w, http.StatusUnauthorized, map[string]string{"message": "Incorrect Email or Password"})
		return
	}
	for _, name := range []string{"token", "refreshToken", "connect.sid"} {
		http.SetCookie(w, &http.Cookie{Name: name, Value: session, Secure: true, HttpOnly: true, Path: "/"})
	}
	reply(w, http.StatusOK, map[string]any{"id": "1", "permissions": []string{}})
}

func (s *standIn) authorize(r *http.Request) int {
	if r.Header.Get("X-Request-From") == "internal" {
		user, password, _ := r.BasicAuth()
		cookie, err := r.Cookie("token")
		if s.is2() && (s.user == "" || user == s.user && password == s.password) || !s.is2() && err == nil && cookie.Value == session {
			return http.StatusOK
		}
		return http.StatusUnauthorized
	}
	permissions, known := s.apiKeys[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !known {
		return http.StatusUnauthorized
	}
	need := map[string]string{"/api/v1/chatflows": "chatflows:view", "/api/v1/apikey": "apikeys:view"}[r.URL.Path]
	for _, p := range permissions {
		if p == need {
			return http.StatusOK
		}
	}
	if s.is2() {
		return http.StatusOK
	}
	return http.StatusForbidden
}

func (s *standIn) page(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if s.is2() || page <= 0 || limit <= 0 {
		reply(w, http.StatusOK, s.chatflows)
		return
	}
	from := min((page-1)*limit, len(s.chatflows))
	reply(w, http.StatusOK, map[string]any{
		"extra": map[string]any{"nested": []int{1}}, "data": s.chatflows[from:min(from+limit, len(s.chatflows))], "total": len(s.chatflows),
	})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// row is a chatflow as Flowise lists it.
func row(id, name string, keyID any) map[string]any {
	return map[string]any{
		"id": id, "name": name, "apikeyid": keyID, "type": "CHATFLOW", "isPublic": nil,
		"flowData": `{"nodes":[{"id":"x","data":{"apikeyid":"not this one"}}]}`, "updatedDate": "2026-01-01T00:00:00.000Z",
	}
}

func keyRow(id, name, secret string) map[string]any {
	return map[string]any{"id": id, "keyName": name, "apiKey": secret, "apiSecret": "00.00", "chatFlows": []any{}}
}

// nth returns a UUID that stands for n.
func nth(n int) string { return fmt.Sprintf("%08x-1111-4222-8333-444455556666", n) }
