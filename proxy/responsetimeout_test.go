package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestUploadSlowerThanTheTimeout has a body that takes longer than the upstream may take to begin its response. As long
// as the body makes progress, the upstream is not to blame.
func TestUploadSlowerThanTheTimeout(t *testing.T) {
	t.Parallel()
	for name, standard := range map[string]bool{"direct": false, "standard": true} {
		t.Run(name, func(t *testing.T) {
			o := Options{StandardTransport: standard, UpstreamTimeout: time.Minute}
			bubble(t, o, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
			}, func(t *testing.T, gate *pipeListener) {
				const pieces, size = 8, 16 << 10
				conn := gate.connect(t)
				defer conn.Close()
				go func() {
					fmt.Fprintf(conn, "%sConnection: close\r\nContent-Length: %d\r\n\r\n", bubbleRequest, pieces*size)
					for range pieces {
						time.Sleep(30 * time.Second)
						_, _ = io.WriteString(conn, strings.Repeat("x", size))
					}
				}()
				if status, err := lastStatus(conn); status != http.StatusOK {
					t.Errorf("response = %d, %v, want 200", status, err)
				}
			})
		})
	}
}
