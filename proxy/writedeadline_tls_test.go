package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestTLSWebsocketOfAnHour lets an hour pass between two messages of a websocket by HTTP/1.1 in TLS.
func TestTLSWebsocketOfAnHour(t *testing.T) {
	var files certificate.Files
	files.ServerCert, files.ServerKey = certificatetest.New(t, "authority").Issue(t, "gate", time.Hour).Write(t, t.TempDir())
	store, err := certificate.Open(files, certificate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Certificates: store, Expose: []string{"own"},
		Routes: append(route.Flowise().Routes, &route.Route{Group: "own", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}),
	}
	bubbleWith(t, o, func(w http.ResponseWriter, _ *http.Request) {
		conn, in, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, in)
	}, func(t *testing.T, gate *pipeListener) {
		conn := dialTLS(t, gate)
		defer conn.Close()
		fmt.Fprintf(conn, "GET /ws/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", bubbleBot, bubbleKey)
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("answer = %v, %v, want 101", res, err)
		}
		for i := range 3 {
			fmt.Fprintf(conn, "message %d\n", i)
			if got, err := r.ReadString('\n'); got != fmt.Sprintf("message %d\n", i) {
				t.Fatalf("after %d hours: %q, %v, want the message back", i, got, err)
			}
			time.Sleep(time.Hour) // of the bubble's time
		}
	})
}

// TestTLSStreamOfAnHour lets an hour pass between two events of a stream by HTTP/1.1 in TLS.
func TestTLSStreamOfAnHour(t *testing.T) {
	bubbleTLS(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data:%d\n", i)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Hour) // of the bubble's time
		}
	}, func(t *testing.T, gate *pipeListener) {
		conn := dialTLS(t, gate)
		defer conn.Close()
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\n\r\n", bubbleBot, bubbleKey)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("answer = %v, %v, want 200", res, err)
		}
		if got, err := io.ReadAll(res.Body); string(got) != "data:0\ndata:1\ndata:2\n" || err != nil {
			t.Errorf("stream = %q, %v, want three events and the end", got, err)
		}
	})
}

// TestTLSCallerThatDoesNotRead takes the first event of a stream by HTTP/1.1 in TLS and no more.
func TestTLSCallerThatDoesNotRead(t *testing.T) {
	var ended chan struct{} // of the bubble
	bubbleTLS(t, eventsUntilLeft(&ended), func(t *testing.T, gate *pipeListener) {
		ended = make(chan struct{})
		conn := dialTLS(t, gate)
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\n\r\n", bubbleBot, bubbleKey)
		r := bufio.NewReader(conn)
		for line := ""; line != "data:x\n"; {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatalf("reading up to the first event: %v", err)
			}
		}
		begin := time.Now()
		<-ended
		if took := time.Since(begin); took < writeIdle-2*time.Second || took > writeIdle+5*time.Second {
			t.Errorf("the runner was let go after %v of the bubble's time, want about %v", took, writeIdle)
		}
		conn.NetConn().Close()
	})
}
