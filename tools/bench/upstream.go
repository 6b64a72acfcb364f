//go:build bench

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// What a request can ask of the upstream, in the member "ask" of its body. Without one, it gets a short response at once.
const (
	askRefused = "refused" // must not reach the upstream, which counts it
	askLarge   = "large"   // a response of 1 MiB
	askSilent  = "silent"  // an event stream that is silent after the first event
	askEvents  = "events"  // an event stream of 25 events a second without an end
	askBrief   = "brief"   // an event stream of 11 events within a second
	askSlow    = "slow"    // a response after a second
)

const (
	responseBody = `{"text":"hello"}`
	responseForm = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
	streamHeader = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
	lastChunk    = "0\r\n\r\n"
	largeBody    = 1 << 20
	eventPrefix  = `data:{"event":"token","data":"`
	eventForm    = eventPrefix + "%016d\"}\n\n" // 50 bytes, with the time at which it was due in µs
	eventEvery   = 40 * time.Millisecond
)

// tally is what the upstream tells about itself.
type tally struct {
	Refused int // requests that the product should have refused
	Events  int // sent on event streams
}

// upstreamServer stands in for Flowise. Like the clients, it reads and writes HTTP/1.1 itself.
type upstreamServer struct {
	refused, events atomic.Int64
	short, large    []byte
}

// serveUpstream is the subcommand that serves it and prints its address.
func serveUpstream(ctx context.Context, _ []string, out io.Writer) error {
	debug.SetGCPercent(400)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	fmt.Fprintf(out, "listening on %s\n", l.Addr())
	s := &upstreamServer{
		short: fmt.Appendf(nil, responseForm, len(responseBody), responseBody),
		large: fmt.Appendf(nil, responseForm, largeBody, strings.Repeat("x", largeBody)),
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err // also when it is told to stop
		}
		go func() {
			defer conn.Close()
			_ = s.serve(conn) // the clients report what matters
		}()
	}
}

func (s *upstreamServer) serve(conn net.Conn) error {
	r := bufio.NewReader(conn)
	for {
		first, length, err := readHeader(r)
		if err != nil {
			return err
		}
		body, err := r.Peek(max(0, length))
		if err != nil {
			return err
		}
		_, rest, _ := bytes.Cut(body, []byte(`"ask":"`))
		ask, _, _ := strings.Cut(string(rest), `"`)
		_, _ = r.Discard(len(body)) // they are in the buffer
		if first == "GET /-/tally HTTP/1.1" {
			text, _ := json.Marshal(tally{int(s.refused.Load()), int(s.events.Load())}) // numbers only
			_, err = fmt.Fprintf(conn, responseForm, len(text), text)
		} else {
			err = s.respond(conn, r, ask)
		}
		if err != nil {
			return err
		}
	}
}

func (s *upstreamServer) respond(conn net.Conn, r *bufio.Reader, ask string) (err error) {
	response := s.short
	switch ask {
	case askSilent:
		return s.stream(conn, r, 2, time.Hour)
	case askEvents:
		return s.stream(conn, r, math.MaxInt, eventEvery)
	case askBrief:
		return s.stream(conn, r, 11, 100*time.Millisecond)
	case askSlow:
		if err := ended(conn, r, time.Now().Add(time.Second)); err != nil {
			return err
		}
	case askLarge:
		response = s.large
	case askRefused:
		s.refused.Add(1)
	}
	_, err = conn.Write(response)
	return err
}

// stream sends events, the first with the header, each in a chunk of its own.
func (s *upstreamServer) stream(conn net.Conn, r *bufio.Reader, count int, every time.Duration) error {
	out := []byte(streamHeader)
	for due := time.Now(); count > 0; count-- {
		event := fmt.Sprintf(eventForm, due.UnixMicro())
		out = fmt.Appendf(out, "%x\r\n%s\r\n", len(event), event)
		if _, err := conn.Write(out); err != nil {
			return err
		}
		s.events.Add(1)
		out = out[:0]
		due = due.Add(every)
		if err := ended(conn, r, due); err != nil {
			return err
		}
	}
	_, err := io.WriteString(conn, lastChunk)
	return err
}

// ended waits until a time and returns an error if the client hangs up before it.
func ended(conn net.Conn, r *bufio.Reader, until time.Time) error {
	_ = conn.SetReadDeadline(until)
	_, err := r.Peek(1)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return conn.SetReadDeadline(time.Time{})
	}
	if err == nil {
		err = errors.New("a request before the response to the one before it")
	}
	return err
}

// readHeader reads the header of a request or response and returns its first line and Content-Length, -1 if it has none.
func readHeader(r *bufio.Reader) (first string, length int, err error) {
	const name = "content-length:"
	length = -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return first, length, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0 && first != "":
			return first, length, nil
		case first == "":
			first = string(line)
		case len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return first, length, err
			}
		}
	}
}

// upstream is a running one.
type upstream struct {
	*process
	addr string
}

func startUpstream(ctx context.Context, dir string) (*upstream, error) {
	p, err := startSelf(ctx, dir, "upstream")
	if err != nil {
		return nil, err
	}
	addr, err := p.says(ctx, "listening on ")
	if err != nil {
		p.end()
		return nil, err
	}
	return &upstream{p, addr}, nil
}

// tally asks the upstream about itself.
func (u *upstream) tally() (t tally, err error) {
	res, err := control.Get("http://" + u.addr + "/-/tally")
	if err != nil {
		return t, err
	}
	defer res.Body.Close()
	return t, json.NewDecoder(res.Body).Decode(&t)
}

// control asks upstream and gate about themselves.
var control = &http.Client{Timeout: time.Minute, Transport: &http.Transport{IdleConnTimeout: time.Hour}}
