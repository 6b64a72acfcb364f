package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

const (
	feedbackID = "abcdef11-2222-4333-8444-555555555555"
	upperID    = "ABCDEF11-2222-4333-8444-555555555555" // the same ID for PostgreSQL and MySQL
)

// feedback is a Flowise that responds to POST feedback with response, where CHATFLOW is replaced by the chatflow of the
// request.
func feedback(response string, change func(h http.Header)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPut {
			_, _ = io.WriteString(w, `{"status":"OK"}`)
			return
		}
		if change != nil {
			change(w.Header())
		}
		_, _ = io.WriteString(w, strings.ReplaceAll(response, "CHATFLOW", r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]))
	}
}

const created = `{"id":"` + feedbackID + `","chatflowid":"CHATFLOW","chatId":"c","messageId":"m","rating":"THUMBS_UP","content":""}`

func thumb(t *testing.T, g *gate, chatflow string, headers ...string) *response {
	t.Helper()
	body := `{"chatflowid":"` + chatflow + `","chatId":"c","messageId":"m","rating":"THUMBS_UP","content":""}`
	return g.request(t, "POST", "/api/v1/feedback/"+chatflow, body, append(headers, jsonType)...)
}

func comment(t *testing.T, g *gate, id, body string, headers ...string) *response {
	t.Helper()
	return g.request(t, "PUT", "/api/v1/feedback/"+id, body, append(headers, jsonType)...)
}

// TestComment sends comments on feedback that the gate saw created, and on other feedback.
func TestComment(t *testing.T) {
	t.Parallel()
	const content = `{"content":"good"}`
	for _, tt := range []struct {
		name              string
		of                string // that the feedback was created for; none if empty
		by                string // header with which it was created
		id, body, key     string
		withKey, wantCode string // for PUT, "" is 200
	}{
		{name: "public, no key", of: botPublic, id: feedbackID, body: content},
		{name: "public, key of another chatflow", of: botPublic, id: feedbackID, body: content, key: secretA},
		{name: "public, other feedback, no key", of: botPublic, id: "11111111-2222-4333-8444-666666666666", body: content, wantCode: "missing_key"},
		{name: "public, other feedback, any key", of: botPublic, id: "11111111-2222-4333-8444-666666666666", body: content, key: secretB},
		{name: "none made, no key", id: feedbackID, body: content, wantCode: "missing_key"},
		{name: "none made, any key", id: feedbackID, body: content, key: secretB},
		{name: "keyed, no key", of: botA, by: secretA, id: feedbackID, body: content, wantCode: "missing_key"},
		{name: "keyed, its key", of: botA, by: secretA, id: feedbackID, body: content, key: secretA},
		{name: "keyed, key of every chatflow", of: botA, by: secretA, id: feedbackID, body: content, key: secretOps},
		{name: "keyed, key of another chatflow", of: botA, by: secretA, id: feedbackID, body: content, key: secretB, wantCode: "key_not_for_chatflow"},
		{name: "keyed, key of another chatflow, ID in upper case", of: botA, by: secretA, id: upperID, body: content, key: secretB, wantCode: "bad_request"},
		{name: "keyed, key of another chatflow, ID without hyphens", of: botA, by: secretA, id: strings.ReplaceAll(upperID, "-", ""), body: content, key: secretB, wantCode: "bad_request"},
		{name: "keyed, expired key", of: botA, by: secretA, id: feedbackID, body: content, key: secretExpired, wantCode: "invalid_key"},
		{name: "member chatflowid", of: botPublic, id: feedbackID, body: `{"content":"x","chatflowid":"` + botA + `"}`, wantCode: "bad_request"},
		{name: "member messageId", of: botPublic, id: feedbackID, body: `{"content":"x","messageId":"m"}`, wantCode: "bad_request"},
		{name: "member chatId", of: botPublic, id: feedbackID, body: `{"content":"x","chatId":"m"}`, wantCode: "bad_request"},
		{name: "member id", of: botPublic, id: feedbackID, body: `{"content":"x","id":"m"}`, wantCode: "bad_request"},
		{name: "member by another spelling", of: botPublic, id: feedbackID, body: `{"content":"x","Message_ID":"m"}`, wantCode: "bad_request"},
		{name: "member __proto__", of: botPublic, id: feedbackID, body: `{"__proto__":{"messageId":"m"}}`, wantCode: "bad_request"},
		{name: "member chatflowid with any key", id: feedbackID, body: `{"content":"x","chatflowid":"` + botA + `"}`, key: secretB, wantCode: "bad_request"},
		{name: "no JSON", of: botPublic, id: feedbackID, body: `content=x`, wantCode: "bad_request"},
		{name: "a list", of: botPublic, id: feedbackID, body: `[]`, wantCode: "bad_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, feedback(created, nil), withKeys(t, keyFile+publicEntry))
			if tt.of != "" {
				if res := thumb(t, g, tt.of, authorization(tt.by)...); res.status != 200 {
					t.Fatalf("POST feedback = %d %s, want 200", res.status, res.body)
				}
			}
			_, _, before := g.upstream.last()
			res := comment(t, g, tt.id, tt.body, authorization(tt.key)...)
			r, _, after := g.upstream.last()
			switch {
			case res.problem.Code != tt.wantCode:
				t.Errorf("PUT feedback = %d %s, want code %q", res.status, res.body, tt.wantCode)
			case tt.wantCode != "" && after != before:
				t.Errorf("PUT feedback reached the upstream and got %d", res.status)
			case tt.wantCode == "" && (res.status != 200 || after != before+1 || r.URL.Path != "/api/v1/feedback/"+tt.id):
				t.Errorf("PUT feedback = %d, at the upstream %d requests, the last for %s; want 200 and one more", res.status, after-before, r.URL.Path)
			}
		})
	}
}

// authorization returns the header with a secret, or none.
func authorization(secret string) []string {
	if secret == "" {
		return nil
	}
	return []string{bearerOf(secret)}
}

// TestCommentOfUnclearFeedback has responses that do not tell what was created, or for which chatflow. The comment then
// needs a key, as before.
func TestCommentOfUnclearFeedback(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			feedback(created, nil)(w, r)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"another chatflow":     feedback(strings.Replace(created, "CHATFLOW", botA, 1), nil),
		"no chatflow":          feedback(`{"id":"`+feedbackID+`"}`, nil),
		"two IDs":              feedback(`{"id":"`+feedbackID+`","id":"`+feedbackID+`","chatflowid":"CHATFLOW"}`, nil),
		"in a list":            feedback("["+created+"]", nil),
		"more after it":        feedback(created+created, nil),
		"ID is no string":      feedback(`{"id":["`+feedbackID+`"],"chatflowid":"CHATFLOW"}`, nil),
		"other case":           feedback(strings.Replace(created, `"id"`, `"ID"`, 1), nil),
		"too long":             feedback(strings.Replace(created, `"content":""`, `"content":"`+strings.Repeat("x", 9000)+`"`, 1), nil),
		"encoded":              feedback(created, func(h http.Header) { h.Set("Content-Encoding", "x-none") }),
		"an error":             status(http.StatusInternalServerError),
		"a redirect":           status(http.StatusFound),
		"cut in the middle":    feedback(created, func(h http.Header) { h.Set("Content-Length", "9000") }),
		"empty":                feedback("", nil),
		"not created, but got": feedback(`{"status":"OK"}`, nil),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, handler, withKeys(t, keyFile+publicEntry))
			if name == "cut in the middle" {
				conn := g.dial(t)
				body := `{"chatflowid":"` + botPublic + `"}`
				_, _ = fmt.Fprintf(conn, "POST /api/v1/feedback/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\nContent-Length: %d\r\n\r\n%s", botPublic, jsonType, len(body), body)
				_, _ = io.Copy(io.Discard, conn)
			} else {
				thumb(t, g, botPublic)
			}
			checkProblem(t, comment(t, g, feedbackID, `{"content":"x"}`), 401, "missing_key")
		})
	}
}

// TestCommentWhenNoLongerPublic makes the chatflow non-public between the rating and the comment.
func TestCommentWhenNoLongerPublic(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "keys.yaml", keyFile+publicEntry)
	store := openStore(t, path)
	g := newGate(t, feedback(created, nil), func(o *proxy.Options) { o.Store = store })
	if res := thumb(t, g, botPublic); res.status != 200 {
		t.Fatalf("POST feedback = %d, want 200", res.status)
	}
	if res := comment(t, g, feedbackID, `{"content":"x"}`); res.status != 200 {
		t.Fatalf("PUT feedback = %d %s, want 200", res.status, res.body)
	}
	testkit.ReplaceFile(t, path, keyFile)
	if r := store.Reload(); r.Err != nil {
		t.Fatal(r.Err)
	}
	checkProblem(t, comment(t, g, feedbackID, `{"content":"x"}`), 401, "missing_key")
}
