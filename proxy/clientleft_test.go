package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// slowEnd is a connection on which writing the last bytes returns some time after the other side got them.
type slowEnd struct {
	net.Conn
	last string
}

func (c slowEnd) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if strings.HasSuffix(string(p), c.last) {
		time.Sleep(time.Second) // in the bubble: until nothing else happens
	}
	return n, err
}

// TestClientLeavesWithTheWholeResponse has clients that leave as soon as they have the whole response, or one byte
// earlier, before the gate has looked for the end of the upstream's body. Since requests at once are limited, a request
// goes on without its client. Only the clients that left early count as having left.
func TestClientLeavesWithTheWholeResponse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		read int
		left bool
	}{
		"whole": {10, false},
		"part":  {9, true},
	} {
		t.Run(name, func(t *testing.T) {
			var log testkit.Buffer
			o := Options{Log: zerolog.New(&log)}
			bubble(t, o, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(w, "12345")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Minute)
				_, _ = io.WriteString(w, "67890")
			}, func(t *testing.T, gate *pipeListener) {
				near, far := net.Pipe()
				gate.conns <- slowEnd{far, "67890"}
				fmt.Fprint(near, strings.Replace(bubbleRequest, bubbleBot, bubbleLimited, 1)+"Content-Length: 2\r\n\r\n{}")
				in := bufio.NewReader(iotest.OneByteReader(near)) // takes no more than it is asked for
				readUpTo(t, in, "\r\n")
				if _, err := io.ReadFull(in, make([]byte, tt.read)); err != nil {
					t.Fatal(err)
				}
				near.Close()
				time.Sleep(time.Hour)
				if got := log.String(); strings.Contains(got, `"code":"client_closed"`) != tt.left || !strings.Contains(got, `"message":"request"`) {
					t.Errorf("log = %s, want a request, whose client left: %t", got, tt.left)
				}
			})
		})
	}
}
