package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// strictWriter is a ResponseWriter on which no deadline may be set once the request is over: in HTTP/2 that is a panic.
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

// TestBodyReadAfterTheRequest reads on from a body when its request is over, as a transport may that is still sending.
func TestBodyReadAfterTheRequest(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]int{"in the middle": 3, "at the end": 100} {
		t.Run(name, func(t *testing.T) {
			w := &strictWriter{ResponseWriter: httptest.NewRecorder(), t: t}
			b := &requestBody{}
			b.begin(http.NewResponseController(w), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("a body")), time.Now(), 1000)
			for p, n := make([]byte, 3), 0; n < read; n += len(p) {
				if _, err := b.Read(p); err != nil {
					break
				}
			}
			b.settle()
			w.over = true
			if n, err := b.Read(make([]byte, 3)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Errorf("Read after the request = %d, %v, want nothing", n, err)
			}
		})
	}
}

// TestHTTP2BodyThatStops begins a body and sends no more of it.
func TestHTTP2BodyThatStops(t *testing.T) {
	t.Parallel()
	bubble(t, withCertificate(t), func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}, func(t *testing.T, gate *pipeListener) {
		s := newH2Sender(t, gate, 1<<16)
		s.post(1, bubbleKey, false)
		_ = s.WriteData(1, false, make([]byte, 100))
		begin := time.Now()
		if got := <-s.first; !strings.Contains(got, "the request body stopped arriving") {
			t.Errorf("response = %q, want that the body stopped", got)
		}
		if took := time.Since(begin); took < bodyIdle-time.Second || took > bodyIdle+5*time.Second {
			t.Errorf("the response came after %v, want about %v", took, bodyIdle)
		}
		s.conn.Close()
	})
}
