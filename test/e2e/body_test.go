//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
	"unicode/utf16"
)

// limitedBodies sends overrides and uploads, in each way that Flowise accepts, to a chatflow that denies them.
func limitedBodies(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen)
	text, err := os.ReadFile(keys.path)
	if err != nil {
		t.Fatal(err)
	}
	limited := strings.Replace(string(text), "id: "+l.flows.fnOpen, "id: "+l.flows.fnOpen+"\n    body: {deny: [overrideConfig, uploads]}", 1)
	if limited == string(text) {
		t.Fatalf("the key file does not list the chatflow as expected:\n%s", text)
	}
	if err := os.WriteFile(keys.path, []byte(limited), 0o600); err != nil {
		t.Fatal(err)
	}
	g := l.serve(t, keys.path)

	object := func(q string) string {
		return fmt.Sprintf(`{"question":%q,"overrideConfig":{"sessionId":"other"}}`, q)
	}
	var questions []string
	for name, tt := range map[string]struct {
		body func(q string) (body []byte, header map[string]string)
		code string
	}{
		"in JSON": {func(q string) ([]byte, map[string]string) { return []byte(object(q)), nil }, "field_not_allowed"},
		"escaped": {func(q string) ([]byte, map[string]string) {
			return []byte(strings.Replace(object(q), "override", `\u006fverride`, 1)), nil
		}, "field_not_allowed"},
		"uploads": {func(q string) ([]byte, map[string]string) {
			return fmt.Appendf(nil, `{"question":%q,"uploads":[]}`, q), nil
		}, "field_not_allowed"},
		"gzip":      {zipped(object), "unsupported_media_type"},
		"UTF-16":    {inUTF16(object), "unsupported_media_type"},
		"form":      {urlencoded, "unsupported_media_type"},
		"multipart": {form, "unsupported_media_type"},
	} {
		t.Run(name, func(t *testing.T) {
			q := unique()
			questions = append(questions, q)
			send1 := func(base, q string) response {
				body, header := tt.body(q)
				h := map[string]string{"Content-Type": "application/json"}
				for k, v := range header {
					h[k] = v
				}
				return send(t, base, request{method: http.MethodPost, path: "/api/v1/prediction/" + l.flows.fnOpen, key: key, header: h, body: bytes.NewReader(body)})
			}
			got := send1(g.URL, q)
			status := http.StatusForbidden
			if tt.code == "unsupported_media_type" {
				status = http.StatusUnsupportedMediaType
			}
			wantProblem(t, request{method: name}, got, status, tt.code)

			direct := unique() // Flowise itself must accept it
			if got := send1(l.flowise.url, direct); !l.flowise.asked(t, l.flows.fnOpen, direct) {
				t.Errorf("Flowise itself = %v and stores no question; want it to accept the body, or this proves nothing", got)
			}
		})
	}
	l.neverRan(t, l.flows.fnOpen, questions...)

	q := unique()
	r := ask(l.flows.fnOpen, q, key)
	wantText(t, r, send(t, g.URL, r), echo(q))
}

func zipped(text func(string) string) func(string) ([]byte, map[string]string) {
	return func(q string) ([]byte, map[string]string) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text(q)))
		_ = z.Close()
		return b.Bytes(), map[string]string{"Content-Encoding": "gzip"}
	}
}

func inUTF16(text func(string) string) func(string) ([]byte, map[string]string) {
	return func(q string) ([]byte, map[string]string) {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(text(q))) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return b, map[string]string{"Content-Type": "application/json; charset=utf-16"}
	}
}

func urlencoded(q string) ([]byte, map[string]string) {
	return []byte("question=" + q + "&overrideConfig%5BsessionId%5D=other"), map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
}

func form(q string) ([]byte, map[string]string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("question", q)
	_ = w.WriteField("sessionId", "other")
	_ = w.Close()
	return b.Bytes(), map[string]string{"Content-Type": w.FormDataContentType()}
}
