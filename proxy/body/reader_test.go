package body_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/body"
)

// strictWriter is a ResponseWriter on which no deadline may be set once the request is over. In HTTP/2, that would panic.
type strictWriter struct {
	http.ResponseWriter
	t    *testing.T
	over bool
}

func (w *strictWriter) SetReadDeadline(time.Time) error {
	if w.over {
		w.t.Error("a deadline is set after the request")
	}
	return nil
}

// TestBodyReadAfterTheRequest goes on reading a body after its request is over, as a transport may that is still sending.
func TestBodyReadAfterTheRequest(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]int{"in the middle": 3, "at the end": 100} {
		t.Run(name, func(t *testing.T) {
			w := &strictWriter{ResponseWriter: httptest.NewRecorder(), t: t}
			b := &body.Reader{}
			b.Begin(http.NewResponseController(w), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("a body")), time.Now(), 1000)
			for p, n := make([]byte, 3), 0; n < read; n += len(p) {
				if _, err := b.Read(p); err != nil {
					break
				}
			}
			b.End()
			w.over = true
			if n, err := b.Read(make([]byte, 3)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Errorf("Read after the request = %d, %v, want nothing", n, err)
			}
		})
	}
}
