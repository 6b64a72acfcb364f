package body_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// buffer reads a body of this length, or -1 if it is not announced, of a client without a key.
func buffer(from *body.Budget, content io.Reader, length int64) (*body.Buffered, *problem.Error) {
	r := httptest.NewRequest(http.MethodPost, "/", content)
	r.ContentLength = length
	b := &body.Reader{}
	b.Begin(http.NewResponseController(httptest.NewRecorder()), r, time.Now(), 1<<20)
	return b.Buffer(from, body.Client{Addr: netip.MustParseAddr("192.0.2.1")}, body.Limits{Size: 60 << 10, Time: time.Minute})
}

// TestBuffer reads each body more often than there is memory for. Whatever becomes of a body, its memory is given back,
// and only once.
func TestBuffer(t *testing.T) {
	t.Parallel()
	const size = 60 << 10 // an address has memory for two bodies of 64 KiB
	whole, broken := strings.Repeat("x", size), iotest.ErrReader(errors.New("broken off"))
	for name, tt := range map[string]struct {
		content func() io.Reader
		length  int64
		code    problem.Code // empty if it is read
	}{
		"whole":                       {func() io.Reader { return strings.NewReader(whole) }, size, ""},
		"whole, of unknown length":    {func() io.Reader { return strings.NewReader(whole) }, -1, ""},
		"empty":                       {func() io.Reader { return strings.NewReader("") }, -1, ""},
		"too large, and it says so":   {func() io.Reader { return iotest.ErrReader(errors.New("it was read")) }, size + 1, problem.BodyTooLarge},
		"too large, as it turns out":  {func() io.Reader { return strings.NewReader(whole + "x") }, -1, problem.BodyTooLarge},
		"broken off in the beginning": {func() io.Reader { return broken }, size, problem.BadRequest},
		"broken off in the middle":    {func() io.Reader { return io.MultiReader(strings.NewReader(whole[:size/2]), broken) }, size, problem.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			budget := body.NewBudget(0)
			for i := range 10 {
				b, refusal := buffer(budget, tt.content(), tt.length)
				var code problem.Code
				if refusal != nil {
					code = refusal.Code
				}
				if code != tt.code {
					t.Fatalf("body %d = %q, want %q", i+1, code, tt.code)
				}
				b.Close()
				b.Close()
				if n, err := io.ReadFull(orNone(b), make([]byte, 1)); n != 0 || err == nil || b.Content() != nil {
					t.Errorf("body after Close has %d bytes to read, %v, want none", n, err)
				}
			}
			for i, want := range []bool{true, true, false} {
				if b, refusal := buffer(budget, strings.NewReader(whole), size); (b != nil) != want {
					t.Errorf("body %d that is held = %v, want it read: %t", i+1, refusal, want)
				}
			}
		})
	}
}

func orNone(b *body.Buffered) io.Reader {
	if b == nil {
		return http.NoBody
	}
	return b
}
