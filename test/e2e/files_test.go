//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"testing"
)

func files(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.upload)
	other := keys.add(t, "other", l.flows.fnOpen)
	g := l.serve(t, keys.path)

	chatID, name := uuid(), unique()+".txt"
	content := []byte("first line\r\nümläut, tab\tand no newline at the end " + unique())

	for _, tt := range []struct {
		name, key string
		status    int
		code      string
	}{
		{"no key", "", http.StatusUnauthorized, "missing_key"},
		{"key of another chatflow", other, http.StatusForbidden, "key_not_for_chatflow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := upload(t, l.flows.upload, chatID, name, content, tt.key)
			wantProblem(t, up, send(t, g.URL, up), tt.status, tt.code)
			down := download(l.flows.upload, chatID, name, tt.key)
			wantProblem(t, down, send(t, g.URL, down), tt.status, tt.code)
		})
	}
	r := download(l.flows.upload, chatID, name, key)
	if got := send(t, g.URL, r); got.status == http.StatusOK {
		t.Errorf("%v before any allowed upload = %v, want an error", r, got)
	}

	r = upload(t, l.flows.upload, chatID, name, content, key)
	sent := send(t, g.URL, r)
	var stored []struct {
		Name    string `json:"name"`
		Content string `json:"content"`
	}
	if err := json.Unmarshal(sent.body, &stored); err != nil || sent.status != http.StatusOK || len(stored) != 1 || stored[0].Name != name {
		t.Fatalf("%v = %v, want 200 and the one file %s", r, sent, name)
	}
	r = download(l.flows.upload, chatID, name, key)
	direct := send(t, l.flowise.url, r)
	for range 10 { // because net/http adds a Content-Type only when it has seen the content before it sends the header
		got := send(t, g.URL, r)
		if got.status != http.StatusOK || !bytes.Equal(got.body, content) {
			t.Fatalf("%v = %v, want 200 and the bytes %q", r, got, content)
		}
		// With a type that Flowise did not send, a browser might show a file that it should save.
		for _, name := range []string{"Content-Type", "Content-Disposition"} {
			if got, want := got.header.Get(name), direct.header.Get(name); got != want {
				t.Fatalf("%v: %s = %q, want %q as Flowise sends it", r, name, got, want)
			}
		}
	}
	r = download(l.flows.upload, chatID, name, "")
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")
}

func upload(t *testing.T, chatflow, chatID, name string, content []byte, key string) request {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="files"; filename=%q`, name)},
		"Content-Type":        {"text/plain"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(content) // into memory
	_ = form.Close()
	return request{
		method: http.MethodPost, path: "/api/v1/attachments/" + chatflow + "/" + chatID, key: key,
		header: map[string]string{"Content-Type": form.FormDataContentType()}, body: &body,
	}
}

func download(chatflow, chatID, name, key string) request {
	query := url.Values{"chatflowId": {chatflow}, "chatId": {chatID}, "fileName": {name}}
	return request{method: http.MethodGet, path: "/api/v1/get-upload-file?" + query.Encode(), key: key}
}
