package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestSlowClients has clients that take their time. Each connection must end by itself, or a few thousand of these
// clients would keep out everybody else.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const (
		predict = "POST /api/v1/prediction/" + bubbleBot + " HTTP/1.1\r\n"
		leads   = "POST /api/v1/leads HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer " + bubbleKey + "\r\nContent-Type: application/json\r\n"
		ping    = "GET /api/v1/ping HTTP/1.1\r\nHost: g\r\n\r\n"
	)
	for _, tt := range []struct {
		name     string
		send     string        // at once
		drip     string        // sent again and again after that
		wait     time.Duration // between two drips
		want     int           // of the last response, 0 for none
		min, max time.Duration // when the connection is closed
	}{
		{"nothing", "", "", time.Second, 0, 9 * time.Second, 11 * time.Second},
		{"header that ends in the middle", predict + "Host: g", "", time.Second, 0, 9 * time.Second, 11 * time.Second},
		{"header byte by byte", predict + "X: ", "x", 3 * time.Second, 0, 9 * time.Second, 11 * time.Second},
		{"header line by line", predict, "X: y\r\n", 3 * time.Second, 0, 9 * time.Second, 11 * time.Second},
		{"idle after a response", ping, "", time.Second, 200, 119 * time.Second, 2*time.Minute + time.Second},
		{"second header that ends in the middle", ping + "GET /api", "", time.Second, 400, 9 * time.Second, 2*time.Minute + time.Second},
		{"body that stops", bubbleRequest + "Content-Length: 100\r\n\r\nhalf", "", time.Second, 400, 59 * time.Second, 62 * time.Second},
		{"chunk that stops", bubbleRequest + "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf", "", time.Second, 400, 59 * time.Second, 62 * time.Second},
		{"body with a chatflow that stops", leads + "Content-Length: 100\r\n\r\n{", "", time.Second, 400, 9 * time.Second, 12 * time.Second},
		{"body with a chatflow byte by byte", leads + "Content-Length: 100\r\n\r\n{", " ", 3 * time.Second, 400, 9 * time.Second, 12 * time.Second},
		{"body nobody wants", predict + "Host: g\r\nContent-Length: 100\r\n\r\n", "x", 100 * time.Millisecond, 401, 0, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{Expose: []string{"predict", "widget"}}, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
			}, func(t *testing.T, gate *pipeListener) {
				conn := gate.connect(t)
				gone := make(chan struct{})
				go func() {
					for text := tt.send; ; text = tt.drip {
						if text != "" { // else a pipe's reader would get an empty write
							if _, err := io.WriteString(conn, text); err != nil {
								return
							}
						}
						select {
						case <-gone:
							return
						case <-time.After(tt.wait):
						}
					}
				}()
				begin := time.Now()
				_ = conn.SetReadDeadline(begin.Add(time.Hour))
				status, err := lastStatus(conn)
				took := time.Since(begin)
				var timeout net.Error
				switch {
				case errors.As(err, &timeout) && timeout.Timeout():
					t.Errorf("the connection is open after %v, want it closed after %v to %v", took, tt.min, tt.max)
				case took > tt.max || took < tt.min:
					t.Errorf("the connection was closed after %v, want %v to %v", took, tt.min, tt.max)
				case status != tt.want:
					t.Errorf("last response = %d, want %d", status, tt.want)
				}
				close(gone)
				conn.Close()
			})
		})
	}
}

// lastStatus reads responses until the connection ends, and returns the status of the last.
func lastStatus(r io.Reader) (status int, err error) {
	in := bufio.NewReader(r)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return status, err
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return status, fmt.Errorf("reading a body: %w", err)
		}
		status = res.StatusCode
	}
}

// TestSilentClientsOverTLS opens connections and sends nothing, before the TLS handshake and after it.
func TestSilentClientsOverTLS(t *testing.T) {
	t.Parallel()
	bubble(t, withCertificate(t), nil, func(t *testing.T, gate *pipeListener) {
		for _, handshake := range []bool{false, true} {
			raw := gate.connect(t)
			conn := raw
			if handshake {
				secure := tls.Client(raw, clientTLS("h2"))
				if err := secure.HandshakeContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				conn = secure
			}
			begin := time.Now()
			_, _ = io.Copy(io.Discard, conn)
			if took := time.Since(begin); took > headerTimeout+time.Second {
				t.Errorf("with a handshake (%t) the connection was closed after %v, want %v", handshake, took, headerTimeout)
			}
			raw.Close()
		}
	})
}
