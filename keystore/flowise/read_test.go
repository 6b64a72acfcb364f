package flowise

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	password = "correct horse: battery"
	secret   = "RlRkXSExxCmVwWKPoiwYU0pyKtdYTYFcRU7pdzf5yBQ"
	weak     = "a-key-with-few-permissions"
)

func newStandIn(version string, chatflows int) *standIn {
	s := &standIn{
		version: version, user: "admin", email: "me@example.com", password: password,
		chatflows: []map[string]any{},
		keys:      []map[string]any{keyRow("k1", "Web", secret)},
		apiKeys:   map[string][]string{secret: {"chatflows:view", "apikeys:view"}, weak: {"chatflows:view"}},
	}
	for i := range chatflows {
		s.chatflows = append(s.chatflows, row(nth(i), fmt.Sprint("flow ", i), []any{"k1", "", nil}[i%3]))
	}
	return s
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name       string
		version    string
		chatflows  int
		credential Credential
	}{
		{"2.2 as user", "2.2.8", 3, Credential{User: "admin", Password: password}},
		{"2.2 with an API key", "2.2.8", 3, Credential{APIKey: secret}},
		{"2.2 with many chatflows", "2.2.8", 1000, Credential{APIKey: secret}},
		{"3.1 with an account", "3.1.4", 3, Credential{Email: "me@example.com", Password: password}},
		{"3.1 with an API key", "3.1.4", 3, Credential{APIKey: secret}},
		{"3.1 without chatflows", "3.1.4", 0, Credential{APIKey: secret}},
		{"3.1 with a full page", "3.1.4", pageSize, Credential{APIKey: secret}},
		{"3.1 with a full page and one", "3.1.4", pageSize + 1, Credential{APIKey: secret}},
		{"3.1 with many pages", "3.1.4", 7*pageSize + 7, Credential{Email: "me@example.com", Password: password}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStandIn(tt.version, tt.chatflows)
			server := s.start(t)
			got, err := Read(t.Context(), Options{URL: server.URL + "/", Credential: tt.credential})
			if err != nil {
				t.Fatalf("Read(%s) = %v, want no error", tt.version, err)
			}
			want := &Installation{URL: server.URL, Version: tt.version, Keys: []Key{{"k1", "Web", secret}}}
			for i := range tt.chatflows {
				want.Chatflows = append(want.Chatflows, Chatflow{nth(i), fmt.Sprint("flow ", i), []string{"k1", "", ""}[i%3]})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Read(%s) (-want +got):\n%s", tt.version, diff)
			}
			for _, r := range s.requests {
				if !strings.HasPrefix(r, "GET ") && r != "POST /api/v1/auth/login" {
					t.Errorf("Read(%s) sent %s, want nothing but GET and a login", tt.version, r)
				}
			}
		})
	}
}

func TestReadWithoutCredential(t *testing.T) {
	s := newStandIn("2.2.8", 2)
	s.user = ""
	got, err := Read(t.Context(), Options{URL: s.start(t).URL})
	if err != nil || len(got.Chatflows) != 2 {
		t.Errorf("Read(a 2.x without a user name) = %v, %v, want its chatflows", got, err)
	}
}

// A chatflow that is edited between two pages moves to the first page, and moves another one out of sight.
func TestReadPagesThatMove(t *testing.T) {
	for _, tt := range []struct {
		name  string
		moves int
		want  string
	}{
		{"once", 1, ""},
		{"always", 1000, "changed while they were read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStandIn("3.1.4", pageSize+50)
			moves := tt.moves
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("page") == "2" && moves > 0 {
					moves--
					last := len(s.chatflows) - 1
					s.chatflows = append([]map[string]any{s.chatflows[last]}, s.chatflows[:last]...)
				}
				s.ServeHTTP(w, r)
			}))
			defer server.Close()
			got, err := Read(t.Context(), Options{URL: server.URL, Credential: Credential{APIKey: secret}})
			if tt.want != "" {
				wantError(t, err, tt.want)
				return
			}
			if err != nil || len(got.Chatflows) != pageSize+50 {
				t.Errorf("Read(pages that move) = %d chatflows, %v, want all %d", len(got.Chatflows), err, pageSize+50)
			}
		})
	}
}

func TestReadWrongAddress(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:3000", "ftp://127.0.0.1", "http://", "http://h/?a=b", "http://h/#f", "http://user:hunter2@h"} {
		_, err := Read(t.Context(), Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Read(%q) = %v, want an error without a password", url, err)
		}
	}
}

// A Flowise that does not tell its version (DENYLIST_URLS) is read all the same.
func TestReadWithoutVersion(t *testing.T) {
	s := newStandIn("2.2.8", 3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/version") {
			reply(w, http.StatusUnauthorized, nil)
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	got, err := Read(t.Context(), Options{URL: server.URL, Credential: Credential{User: "admin", Password: password}})
	if err != nil || got.Version != "" || len(got.Chatflows) != 3 {
		t.Errorf("Read() = %v, %v, want three chatflows of no version", got, err)
	}
	_, err = Read(t.Context(), Options{URL: server.URL})
	wantError(t, err, "wants a credential", "--email", "--user", "--api-key-file")
	if slices.Contains(s.requests, "GET /api/v1/apikey") && !errors.Is(err, errUnauthorized) {
		t.Errorf("Read() = %v, want errUnauthorized", err)
	}
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("err = nil, want one with %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("err = %v, want %q in it", err, w)
		}
	}
}
