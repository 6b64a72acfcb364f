package problem

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFormFor has headers of Flowise's widget, of other pages, and of programs.
func TestFormFor(t *testing.T) {
	const page = "https://www.example.com"
	for _, tt := range []struct {
		name           string
		origin, accept []string
		want           Form
	}{
		{"widget, streamed question", []string{page}, []string{"text/event-stream"}, Sentence},
		{"widget, anything else", []string{page}, []string{"*/*"}, PlainJSON},
		{"page in a file or sandbox", []string{"null"}, []string{"*/*"}, PlainJSON},
		{"page by axios", []string{page}, []string{"application/json, text/plain, */*"}, Document},
		{"page that reads problems", []string{page}, []string{"application/problem+json"}, Document},
		{"page that reads streams and problems", []string{page}, []string{"text/event-stream, application/problem+json"}, Document},
		{"page that says nothing", []string{page}, nil, Document},
		{"page that says it twice", []string{page}, []string{"*/*", "application/json"}, Document},
		{"curl", nil, []string{"*/*"}, Document},
		{"program that reads streams", nil, []string{"text/event-stream"}, Document},
		{"program that says nothing", nil, nil, Document},
		{"EventSource with parameters", []string{page}, []string{"text/event-stream;q=1"}, Document},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.origin != nil {
				h["Origin"] = tt.origin
			}
			if tt.accept != nil {
				h["Accept"] = tt.accept
			}
			if got := FormFor(h); got != tt.want {
				t.Errorf("FormFor(%v) = %d, want %d", h, got, tt.want)
			}
		})
	}
}

// TestForms writes every code in every form.
func TestForms(t *testing.T) {
	sentence := regexp.MustCompile(`^[A-Z][A-Za-z ]+\.( [A-Z][A-Za-z ]+\.)?$`)
	for _, code := range Codes() {
		e := &Error{Code: code, Detail: "for programmers, see https://example.com"}
		document, plain, text := writeIn(e, Document), writeIn(e, PlainJSON), writeIn(e, Sentence)
		if document.Body.String() != plain.Body.String() {
			t.Errorf("%s: as application/json %s, want the same as %s", code, plain.Body, document.Body)
		}
		if got := text.Body.String(); got != code.kind().short || !sentence.MatchString(got) || strings.Contains(strings.ToLower(got), "http") {
			t.Errorf("%s: text = %q, want one or two sentences without a link", code, got)
		}
		for _, w := range []struct {
			form Form
			got  http.Header
			want string
		}{{PlainJSON, plain.Header(), "application/json"}, {Sentence, text.Header(), "text/plain; charset=utf-8"}} {
			want := document.Header().Clone()
			want.Set("Content-Type", w.want)
			if diff := cmp.Diff(want, w.got); diff != "" {
				t.Errorf("%s: header in form %d (-want +got):\n%s", code, w.form, diff)
			}
		}
		if text.Code != document.Code || plain.Code != document.Code {
			t.Errorf("%s: status %d, %d, %d, want the same", code, document.Code, plain.Code, text.Code)
		}
	}
}
