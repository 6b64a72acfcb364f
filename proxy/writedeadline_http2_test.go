package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Sender is an HTTP/2 client that reads what comes, and grants no more window for it.
type h2Sender struct {
	*http2.Framer
	t     *testing.T
	conn  *tls.Conn
	ends  chan streamEnd
	first chan string // the first data on a stream
}

// streamEnd says how and when a stream ended, counted from the beginning of the connection. Stream 0 is the connection.
type streamEnd struct {
	id    uint32
	after time.Duration
	frame string
}

// newH2Sender opens a connection on which each stream has a window of this many bytes.
func newH2Sender(t *testing.T, gate *pipeListener, window uint32) *h2Sender {
	t.Helper()
	conn := gate.connectTLS(t, "h2")
	s := &h2Sender{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, ends: make(chan streamEnd, 200), first: make(chan string, 200)}
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
	s.preface(window)
	return s
}

func (s *h2Sender) preface(window uint32) {
	_, _ = io.WriteString(s.conn, http2.ClientPreface)
	_ = s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
}

// post begins a request for the chatflow on a stream. end says that it has no body.
func (s *h2Sender) post(id uint32, key string, end bool, more ...hpack.HeaderField) {
	s.t.Helper()
	var header bytes.Buffer
	e := hpack.NewEncoder(&header)
	fields := append([]hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/api/v1/prediction/" + bubbleBot}}, more...)
	if key != "" {
		fields = append(fields, hpack.HeaderField{Name: "authorization", Value: "Bearer " + key})
	}
	for _, f := range fields {
		_ = e.WriteField(f)
	}
	if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header.Bytes(), EndStream: end, EndHeaders: true}); err != nil {
		s.t.Fatal(err)
	}
}

// TestHTTP2ClientThatDoesNotRead takes a little of a stream and grants no window for more.
func TestHTTP2ClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	var ended chan struct{} // made in the bubble
	bubble(t, withCertificate(t), eventsUntilGone(&ended), func(t *testing.T, gate *pipeListener) {
		ended = make(chan struct{})
		s := newH2Sender(t, gate, 7)
		s.post(1, bubbleKey, true)
		if got := <-s.first; got != "data:x\n" {
			t.Errorf("first event = %q, want data:x", got)
		}
		wantCancelled(t, ended)
		if e := <-s.ends; e.id != 1 {
			t.Errorf("end = %+v, want that of the stream", e)
		}
		s.conn.Close()
	})
}

// TestHTTP2ResponsesNobodyReads makes the gate, and net/http itself, refuse requests of a client that grants no window at
// all. Neither the streams nor the connection may stay open.
func TestHTTP2ResponsesNobodyReads(t *testing.T) {
	t.Parallel()
	bubble(t, withCertificate(t), nil, func(t *testing.T, gate *pipeListener) {
		s := newH2Sender(t, gate, 0)
		const n = 10
		for i := range uint32(n) {
			s.post(1+2*i, "", true)
		}
		s.post(1+2*n, "", true, hpack.HeaderField{Name: "connection", Value: "close"}) // a 400 of net/http
		seen := map[uint32]bool{}
		for range n + 1 {
			e := <-s.ends
			if seen[e.id] = true; e.id == 0 || e.after < refusalTime-time.Second || e.after > refusalTime+time.Second {
				t.Errorf("end = %+v, want that of a stream after %v", e, refusalTime)
			}
		}
		if len(seen) != n+1 {
			t.Errorf("streams that ended = %v, want %d", seen, n+1)
		}
		if e := <-s.ends; e.id != 0 || e.after > refusalTime+idleTimeout+5*time.Second {
			t.Errorf("end = %+v, want that of the connection, which is idle", e)
		}
	})
}

// TestHTTP2ClientThatStopsReading does not even read from the connection any more.
func TestHTTP2ClientThatStopsReading(t *testing.T) {
	t.Parallel()
	var ended chan struct{} // made in the bubble
	bubble(t, withCertificate(t), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Second) // until the header has been passed on
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 10<<10)); err != nil {
				break
			}
		}
		close(ended)
	}, func(t *testing.T, gate *pipeListener) {
		ended = make(chan struct{})
		conn := gate.connectTLS(t, "h2")
		// It reads only what the gate sends first: its settings, and the acknowledgement of the client's settings.
		s := &h2Sender{Framer: http2.NewFramer(conn, conn), t: t, conn: conn}
		go func() {
			s.preface(1 << 20)
			s.post(1, bubbleKey, true)
		}()
		for f, err := s.ReadFrame(); err == nil && f.Header().Type != http2.FrameHeaders; {
			f, err = s.ReadFrame()
		}
		begin := time.Now()
		<-ended
		if took := time.Since(begin); took > 2*writeIdle {
			t.Errorf("the upstream's request was cancelled after %v, want %v at most", took, 2*writeIdle)
		}
		conn.NetConn().Close()
	})
}
