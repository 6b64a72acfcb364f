package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// streamEnd is how and when a stream ended, after the connection began. Stream 0 is the connection.
type streamEnd struct {
	id    uint32
	after time.Duration
	frame string
}

// sender is a caller's side of HTTP/2 that reads what comes, and opens no window for it.
type sender struct {
	*http2.Framer
	t    *testing.T
	conn *tls.Conn
	ends chan streamEnd
	// first has the data that came first on a stream.
	first chan string
}

// openSender opens a connection on which each stream has room for so many bytes.
func openSender(t *testing.T, gate *pipeListener, window uint32) *sender {
	t.Helper()
	raw, err := gate.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, clientTLS())
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &sender{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, ends: make(chan streamEnd, 200), first: make(chan string, 200)}
	began := time.Now()
	go func() {
		for {
			f, err := s.ReadFrame()
			if err != nil {
				s.ends <- streamEnd{0, time.Since(began), err.Error()}
				return
			}
			switch f := f.(type) {
			case *http2.RSTStreamFrame:
				s.ends <- streamEnd{f.StreamID, time.Since(began), f.ErrCode.String()}
			case *http2.DataFrame:
				s.first <- string(f.Data())
			}
		}
	}()
	_, _ = io.WriteString(conn, http2.ClientPreface)
	if err := s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sender) post(id uint32, path, key string, end bool, more ...hpack.HeaderField) {
	s.t.Helper()
	var head bytes.Buffer
	e := hpack.NewEncoder(&head)
	fields := append([]hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: path}}, more...)
	if key != "" {
		fields = append(fields, hpack.HeaderField{Name: "authorization", Value: "Bearer " + key})
	}
	for _, f := range fields {
		_ = e.WriteField(f)
	}
	if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndStream: end, EndHeaders: true}); err != nil {
		s.t.Fatal(err)
	}
}

// TestHTTP2StreamOfAnHour lets an hour pass between two events of a stream.
func TestHTTP2StreamOfAnHour(t *testing.T) {
	bubbleTLS(t, func(w http.ResponseWriter, r *http.Request) {
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
		client := &http.Transport{DialContext: gate.dial, TLSClientConfig: clientTLS(), Protocols: new(http.Protocols)}
		client.Protocols.SetHTTP2(true)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://gate/api/v1/prediction/"+bubbleBot, strings.NewReader("{}"))
		req.Header.Set("Authorization", "Bearer "+bubbleKey)
		res, err := client.RoundTrip(req)
		if err != nil || res.ProtoMajor != 2 {
			t.Fatalf("answer = %v, %v, want one by HTTP/2", res, err)
		}
		r, begin := bufio.NewReader(res.Body), time.Now()
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

// TestHTTP2CallerThatDoesNotRead takes a little of a stream and opens no window for more: it must not hold the
// runner, whose answer goes on, for longer than writeIdle.
func TestHTTP2CallerThatDoesNotRead(t *testing.T) {
	var ended chan struct{} // of the bubble
	bubbleTLS(t, eventsUntilLeft(&ended), func(t *testing.T, gate *pipeListener) {
		ended = make(chan struct{})
		s := openSender(t, gate, 7)
		s.post(1, "/api/v1/prediction/"+bubbleBot, bubbleKey, true)
		if got := <-s.first; got != "data:x\n" {
			t.Errorf("first event = %q", got)
		}
		begin := time.Now()
		<-ended
		if took := time.Since(begin); took < writeIdle-2*time.Second || took > writeIdle+5*time.Second {
			t.Errorf("the runner was let go after %v of the bubble's time, want about %v", took, writeIdle)
		}
		if e := <-s.ends; e.id != 1 {
			t.Errorf("end = %+v, want that of the stream", e)
		}
		s.conn.Close()
	})
}

// TestHTTP2AnswersNobodyReads has the gate, and net/http itself, refuse requests of a caller that opens no window at
// all: the streams must not stay, nor the connection.
func TestHTTP2AnswersNobodyReads(t *testing.T) {
	bubbleTLS(t, nil, func(t *testing.T, gate *pipeListener) {
		s := openSender(t, gate, 0)
		const n = 10
		for i := range uint32(n) {
			s.post(1+2*i, "/api/v1/prediction/"+bubbleBot, "", true)
		}
		s.post(1+2*n, "/api/v1/prediction/"+bubbleBot, "", true, hpack.HeaderField{Name: "connection", Value: "close"}) // 400 of net/http
		seen := map[uint32]bool{}
		for range n + 1 {
			e := <-s.ends
			if seen[e.id] = true; e.id == 0 || e.after < writeIdle-time.Second || e.after > writeIdle+time.Second {
				t.Errorf("end = %+v, want that of a stream after %v", e, writeIdle)
			}
		}
		if len(seen) != n+1 {
			t.Errorf("streams that ended = %v, want %d", seen, n+1)
		}
		if e := <-s.ends; e.id != 0 || e.after > writeIdle+idleTimeout+5*time.Second {
			t.Errorf("end = %+v, want that of the connection, which is idle", e)
		}
	})
}

// TestHTTP2CallerThatTakesNothing does not even read from the connection.
func TestHTTP2CallerThatTakesNothing(t *testing.T) {
	var ended chan struct{} // of the bubble
	bubbleTLS(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Second) // of the bubble's time: for the head to be passed on
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 10<<10)); err != nil {
				break
			}
		}
		close(ended)
	}, func(t *testing.T, gate *pipeListener) {
		ended = make(chan struct{})
		raw, err := gate.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		conn := tls.Client(raw, clientTLS())
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Only what the gate sends first is read: its settings, and the acknowledgement of those of this side.
		s := &sender{Framer: http2.NewFramer(conn, conn), t: t, conn: conn}
		go func() {
			_, _ = io.WriteString(conn, http2.ClientPreface)
			_ = s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
			s.post(1, "/api/v1/prediction/"+bubbleBot, bubbleKey, true)
		}()
		for f, err := s.ReadFrame(); err == nil && f.Header().Type != http2.FrameHeaders; {
			f, err = s.ReadFrame()
		}
		begin := time.Now()
		<-ended
		if took := time.Since(begin); took > 2*writeIdle {
			t.Errorf("the runner was let go after %v, want %v at most", took, 2*writeIdle)
		}
		conn.NetConn().Close()
	})
}
