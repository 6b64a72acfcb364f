package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHTTP2BodyThatStops sends the beginning of a body and nothing more.
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
		if took := time.Since(begin); took < 59*time.Second || took > 65*time.Second {
			t.Errorf("the response came after %v, want about a minute", took)
		}
		s.conn.Close()
	})
}
