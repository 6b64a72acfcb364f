package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStreamOfAnHour lets an hour pass between two events of a stream.
func TestStreamOfAnHour(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			if i > 0 {
				time.Sleep(time.Hour) // of the bubble's time
			}
			fmt.Fprintf(w, "data:%d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	}, func(t *testing.T, gate *pipeListener) {
		client := &http.Transport{DialContext: gate.dial}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gate/api/v1/prediction/"+bubbleBot, strings.NewReader(`{"streaming":true}`))
		req.Header.Set("Authorization", "Bearer 0123456789abcdef")
		res, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(res.Body)
		begin := time.Now()
		for i := range 3 {
			if line, err := r.ReadString('\n'); line != fmt.Sprintf("data:%d\n", i) {
				t.Fatalf("after %v: read %q, %v", time.Since(begin), line, err)
			}
		}
		if got := time.Since(begin); got < 2*time.Hour {
			t.Errorf("the stream took %v of the bubble's time, want two hours", got)
		}
		res.Body.Close()
		client.CloseIdleConnections()
	})
}

// TestStreamSilentBeforeItsEnd lets an hour pass between the last event of a stream and its end.
func TestStreamSilentBeforeItsEnd(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data:x\n")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Hour) // of the bubble's time
	}, func(t *testing.T, gate *pipeListener) {
		client := &http.Transport{DialContext: gate.dial}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gate/api/v1/prediction/"+bubbleBot, strings.NewReader("{}"))
		req.Header.Set("Authorization", "Bearer 0123456789abcdef")
		res, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); string(got) != "data:x\n" || err != nil {
			t.Errorf("stream = %q, %v, want the event and a clean end", got, err)
		}
		res.Body.Close()
		client.CloseIdleConnections()
	})
}

// eventsUntilLeft is a runner that sends an event a second until nobody waits for it, and then closes ended.
func eventsUntilLeft(ended *chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			fmt.Fprint(w, "data:x\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second) // of the bubble's time
		}
		close(*ended)
	}
}

// TestCallerThatDoesNotRead takes the first event of a stream and no more: it must not hold the runner, whose
// answer goes on, for longer than writeIdle.
func TestCallerThatDoesNotRead(t *testing.T) {
	var ended chan struct{} // of the bubble
	bubble(t, eventsUntilLeft(&ended), func(t *testing.T, gate *pipeListener) {
		ended = make(chan struct{})
		conn, err := gate.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n", bubbleBot)
		r := bufio.NewReader(conn)
		for line := ""; line != "data:x\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatalf("reading up to the first event: %v", err)
			}
		}
		begin := time.Now()
		<-ended
		if took := time.Since(begin); took < writeIdle-2*time.Second || took > writeIdle+5*time.Second {
			t.Errorf("the runner was let go after %v of the bubble's time, want about %v", took, writeIdle)
		}
		conn.Close()
	})
}

// TestCallerThatDoesNotReadHints does not even read what comes before the answer.
func TestCallerThatDoesNotReadHints(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
	}, func(t *testing.T, gate *pipeListener) {
		conn, err := gate.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n", bubbleBot)
		time.Sleep(writeIdle + time.Second) // of the bubble's time
		if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
			t.Errorf("read %q, %v after %v, want a connection that was closed", got, err, writeIdle)
		}
		conn.Close()
	})
}

// TestSecondRequestAfterAWhile sends two requests on a connection with more time between them than an
// answer may take to be read: the limit of the first must not hit the second.
func TestSecondRequestAfterAWhile(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}, func(t *testing.T, gate *pipeListener) {
		conn, err := gate.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for range 2 {
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer 0123456789abcdef\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", bubbleBot)
			if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
				t.Fatalf("answer to the head = %q, %v, want 100 Continue", line, err)
			}
			_, _ = r.ReadString('\n')
			fmt.Fprint(conn, "hi")
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hi" {
				t.Errorf("answer = %q, %v, want hi", body, err)
			}
			res.Body.Close()
			time.Sleep(idleTimeout - time.Second) // of the bubble's time
		}
		conn.Close()
	})
}
