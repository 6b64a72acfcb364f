package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// onEachTransport runs a test with clients over TCP and over TLS, in HTTP/1.1.
func onEachTransport(t *testing.T, o Options, handler http.HandlerFunc, do func(t *testing.T, conn net.Conn)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) {
		bubble(t, o, handler, func(t *testing.T, gate *pipeListener) {
			conn := gate.connect(t)
			defer conn.Close()
			do(t, conn)
		})
	})
	t.Run("TLS", func(t *testing.T) {
		o.Certificates = withCertificate(t).Certificates
		bubble(t, o, handler, func(t *testing.T, gate *pipeListener) {
			conn := gate.connectTLS(t, "http/1.1")
			defer conn.NetConn().Close() // without TLS's close notification, which might have to wait
			do(t, conn)
		})
	})
}

// TestStreamOfHours lets an hour pass after each event of a stream. After the last event, the stream must end as the
// upstream ended it.
func TestStreamOfHours(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, scheme, protocol string
		options                Options
		major                  int
	}{
		{"HTTP/1", "http", "", Options{}, 1},
		{"HTTP/1 over TLS", "https", "http/1.1", withCertificate(t), 1},
		{"HTTP/2", "https", "h2", withCertificate(t), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.options, threeEvents, func(t *testing.T, gate *pipeListener) {
				client := &http.Transport{DialContext: gate.dial, TLSClientConfig: clientTLS(tt.protocol), Protocols: new(http.Protocols)}
				client.Protocols.SetHTTP1(tt.major == 1)
				client.Protocols.SetHTTP2(tt.major == 2)
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, tt.scheme+"://gate/api/v1/prediction/"+bubbleBot, strings.NewReader("{}"))
				req.Header.Set("Authorization", "Bearer "+bubbleKey)
				begin := time.Now()
				res, err := client.RoundTrip(req)
				if err != nil || res.ProtoMajor != tt.major {
					t.Fatalf("response = %v, %v, want one by %s", res, err, tt.name)
				}
				r := bufio.NewReader(res.Body)
				for i := range 3 {
					if line, err := r.ReadString('\n'); line != fmt.Sprintf("data:%d\n", i) || time.Since(begin).Hours() < float64(i) {
						t.Fatalf("after %v: read %q, %v, want event %d after as many hours", time.Since(begin), line, err, i)
					}
				}
				if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil || time.Since(begin) < 3*time.Hour {
					t.Errorf("after %v: read %q, %v, want the end after three hours", time.Since(begin), rest, err)
				}
				res.Body.Close()
				client.CloseIdleConnections()
			})
		})
	}
}

// TestWebsocketOfHours lets an hour pass between two messages of a websocket.
func TestWebsocketOfHours(t *testing.T) {
	t.Parallel()
	o := Options{
		Expose: []string{"own"},
		Routes: slices.Concat(route.Flowise().Routes, []*route.Route{{Group: "own", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}}),
	}
	echo := func(w http.ResponseWriter, _ *http.Request) {
		conn, in, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, in)
	}
	onEachTransport(t, o, echo, func(t *testing.T, conn net.Conn) {
		fmt.Fprintf(conn, "GET /ws/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", bubbleBot, bubbleKey)
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("response = %v, %v, want 101", res, err)
		}
		for i := range 3 {
			fmt.Fprintf(conn, "message %d\n", i)
			if got, err := r.ReadString('\n'); got != fmt.Sprintf("message %d\n", i) {
				t.Fatalf("after %d hours: read %q, %v, want the message back", i, got, err)
			}
			time.Sleep(time.Hour)
		}
	})
}

// eventsUntilGone is an upstream that sends an event every second until the request is cancelled, and then closes ended.
func eventsUntilGone(ended *chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			fmt.Fprint(w, "data:x\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second)
		}
		close(*ended)
	}
}

// wantCancelled waits until the upstream's request is cancelled, and checks that this takes about writeIdle.
func wantCancelled(t *testing.T, ended chan struct{}) {
	t.Helper()
	begin := time.Now()
	<-ended
	if took := time.Since(begin); took < writeIdle-2*time.Second || took > writeIdle+5*time.Second {
		t.Errorf("the upstream's request was cancelled after %v, want about %v", took, writeIdle)
	}
}

// TestClientThatDoesNotRead takes the first event of a stream and nothing more. It must not occupy the upstream, whose
// response goes on, for longer than writeIdle.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	var ended chan struct{} // made in the bubble
	onEachTransport(t, Options{}, eventsUntilGone(&ended), func(t *testing.T, conn net.Conn) {
		ended = make(chan struct{})
		fmt.Fprint(conn, bubbleRequest+"\r\n")
		readUpTo(t, bufio.NewReader(conn), "data:x\n")
		wantCancelled(t, ended)
	})
}

// TestClientThatDoesNotReadInterimResponses does not even read what comes before the response.
func TestClientThatDoesNotReadInterimResponses(t *testing.T) {
	t.Parallel()
	bubble(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
	}, func(t *testing.T, gate *pipeListener) {
		conn := gate.connect(t)
		defer conn.Close()
		fmt.Fprint(conn, bubbleRequest+"\r\n")
		time.Sleep(writeIdle + time.Second)
		if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
			t.Errorf("read %q, %v after %v, want a connection that was closed", got, err, writeIdle)
		}
	})
}

// TestPreflightsNobodyReads sends preflights, which need no key, and does not read the responses. Whether the gate
// answers or refuses them, the connection must not stay open.
func TestPreflightsNobodyReads(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"answered": "/api/v1/prediction/" + bubbleBot, "refused": "/api/v1/chatflows"} {
		t.Run(name, func(t *testing.T) {
			onEachTransport(t, Options{CORSOrigins: []string{"https://www.example.com"}}, nil, func(t *testing.T, conn net.Conn) {
				fmt.Fprintf(conn, "OPTIONS %s HTTP/1.1\r\nHost: gate\r\nOrigin: https://www.example.com\r\nAccess-Control-Request-Method: POST\r\n\r\n", path)
				time.Sleep(writeIdle + 10*time.Second) // with TLS, net/http takes 5 s more for its close notification
				if got, err := io.ReadAll(conn); len(got) > 0 {
					t.Errorf("read %q, %v after %v, want a connection that was closed", got, err, writeIdle)
				}
			})
		})
	}
}

// TestSecondRequestAfterAWhile sends two requests on a connection, with more time between them than the first response
// may take to be read. The deadline of the first must not affect the second.
func TestSecondRequestAfterAWhile(t *testing.T) {
	t.Parallel()
	bubble(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}, func(t *testing.T, gate *pipeListener) {
		conn := gate.connect(t)
		defer conn.Close()
		r := bufio.NewReader(conn)
		for range 2 {
			fmt.Fprint(conn, bubbleRequest+"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
			if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
				t.Fatalf("response to the header = %q, %v, want 100 Continue", line, err)
			}
			_, _ = r.ReadString('\n')
			fmt.Fprint(conn, "hi")
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hi" {
				t.Errorf("response = %q, %v, want hi", body, err)
			}
			res.Body.Close()
			time.Sleep(idleTimeout - time.Second)
		}
	})
}
