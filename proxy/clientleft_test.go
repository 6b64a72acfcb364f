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
	last  string
	takes bool // also what is written after the other side has closed, as a socket does
}

func (c slowEnd) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if strings.HasSuffix(string(p), c.last) {
		time.Sleep(time.Second) // in the bubble: until nothing else happens
	}
	if c.takes {
		return len(p), nil
	}
	return n, err
}

// TestClientLeavesWithTheWholeResponse has clients that leave as soon as they have the whole response, or one byte
// earlier, before the gate has finished writing it. Another leaves long before the upstream sends the rest, and one stays
// and reads no more. Since requests at once are limited, a request goes on without its client. All but the first count as
// having left.
func TestClientLeavesWithTheWholeResponse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		read  int
		takes bool
		left  bool
		stays bool // but reads no more
	}{
		"whole":                             {read: 10},
		"part":                              {read: 9, left: true},
		"half, and a socket takes the rest": {read: 5, takes: true, left: true},
		"half, and stays":                   {read: 5, left: true, stays: true},
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
				gate.conns <- slowEnd{far, "67890", tt.takes}
				fmt.Fprint(near, strings.Replace(bubbleRequest, bubbleBot, bubbleLimited, 1)+"Content-Length: 2\r\n\r\n{}")
				in := bufio.NewReader(iotest.OneByteReader(near)) // takes no more than it is asked for
				readUpTo(t, in, "\r\n")
				if _, err := io.ReadFull(in, make([]byte, tt.read)); err != nil {
					t.Fatal(err)
				}
				if !tt.stays {
					near.Close()
				}
				time.Sleep(time.Hour)
				if tt.stays != strings.Contains(log.String(), "the client did not read the response for 1m0s") {
					t.Errorf("log = %s, want a client that did not read: %t", log.String(), tt.stays)
				}
				near.Close()
				if got := log.String(); strings.Contains(got, `"code":"client_closed"`) != tt.left || !strings.Contains(got, `"message":"request"`) {
					t.Errorf("log = %s, want a request, whose client left: %t", got, tt.left)
				}
			})
		})
	}
}

// TestNothingIsAbortedForTheWholeResponse has a client that leaves with a response that had arrived at the gate as a whole.
// The upstream is done with the request, and an abort would end the client's next one in the same conversation.
func TestNothingIsAbortedForTheWholeResponse(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 9)
	bubble(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "67890")
	}, func(t *testing.T, gate *pipeListener) {
		near, far := net.Pipe()
		gate.conns <- slowEnd{Conn: far, last: "67890"}
		const body = `{"question":"x","chatId":"c"}`
		fmt.Fprintf(near, "%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", strings.Replace(bubbleRequest, bubbleBot, bubbleAborts, 1), len(body), body)
		in := bufio.NewReader(iotest.OneByteReader(near))
		readUpTo(t, in, "\r\n")
		if _, err := io.ReadFull(in, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		near.Close()
		time.Sleep(time.Hour)
		if first := <-paths; len(paths) > 0 {
			t.Errorf("requests at the upstream = %s, %s, want the one of the client alone", first, <-paths)
		}
	})
}
