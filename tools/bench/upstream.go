//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What a request can ask of the upstream, in the member "ask" of its body. Without one, it gets a short response at once.
const (
	askRefused = "refused" // must not reach the upstream, which counts it
	askLarge   = "large"   // a response of 1 MiB
	askSilent  = "silent"  // an event stream of one event, which stays open
	askEvents  = "events"  // an event stream of 25 events a second without an end
	askBrief   = "brief"   // an event stream of 10 events within a second
	askSlow    = "slow"    // a response after a second
)

const (
	responseBody = `{"text":"hello"}`
	response     = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + responseBody
	streamHeader = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
	lastChunk    = "0\r\n\r\n"
	largeBody    = 1 << 20
	eventBegin   = `data:{"event":"token","data":"` // followed by the time at which it was due, 16 digits of µs, and eventEnd: 50 bytes
	eventEnd     = "\"}\n\n"
	eventDigits  = 16
	eventEvery   = 40 * time.Millisecond
)

// tally is what the upstream tells about itself.
type tally struct {
	Accepted int // connections so far
	Requests int
	Refused  int // requests that should have been refused
	Events   int // sent on streams
	Stalled  int // events that the kernel did not take at once
}

// upstreamServer responds to HTTP/1.1 requests with one read and one write each. It serves this program only: a request must fit its buffer.
type upstreamServer struct {
	loop     *eventLoop
	listener int
	conns    map[int]*upstreamConn
	tally    tally
	large    []byte
	event    []byte
	timers   []*timers
}

type upstreamConn struct {
	fd     int
	in     []byte
	closed bool
	due    time.Time // of the next event, or of the slow response
	left   int       // events to come
}

// timers are connections to which something is sent at equal intervals, in the order in which it is due.
type timers struct {
	ask   string
	every time.Duration
	count int
	conns []*upstreamConn
}

// serveUpstream is the subcommand that stands in for Flowise. It prints its address.
func serveUpstream(ctx context.Context, _ []string, out io.Writer) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // it allocates for connections only
	s := &upstreamServer{
		conns: map[int]*upstreamConn{},
		large: fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", largeBody, strings.Repeat("x", largeBody)),
		timers: []*timers{
			{ask: askEvents, every: eventEvery, count: math.MaxInt},
			{ask: askBrief, every: 100 * time.Millisecond, count: 10},
			{ask: askSlow, every: time.Second},
		},
	}
	var port int
	var err error
	if s.listener, port, err = listen(); err != nil {
		return err
	}
	if s.loop, err = newEventLoop(); err != nil {
		return err
	}
	if err := s.loop.add(s.listener); err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on 127.0.0.1:%d\n", port)
	for ctx.Err() == nil {
		if err := s.loop.wait(s.sendDue(), s.readable); err != nil {
			return err
		}
	}
	return nil
}

func (s *upstreamServer) readable(fd int) {
	if fd == s.listener {
		for {
			fd, err := accept(s.listener)
			if err != nil {
				return
			}
			s.tally.Accepted++
			s.conns[fd] = &upstreamConn{fd: fd, in: make([]byte, 0, 4096)}
			_ = s.loop.add(fd)
		}
	}
	c := s.conns[fd]
	n, err := syscall.Read(fd, c.in[len(c.in):cap(c.in)])
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if n <= 0 || len(c.in)+n == cap(c.in) {
		s.close(c)
		return
	}
	c.in = c.in[:len(c.in)+n]
	for !c.closed {
		header, body, ok := message(c.in)
		if !ok {
			return
		}
		s.respond(c, header, body)
		c.in = c.in[:copy(c.in, c.in[len(header)+len(body):])]
	}
}

func (s *upstreamServer) close(c *upstreamConn) {
	c.closed = true
	delete(s.conns, c.fd)
	_ = syscall.Close(c.fd)
}

// message splits a request or response with a Content-Length from what follows it. ok is false if it is not complete.
func message(in []byte) (header, body []byte, ok bool) {
	end := bytes.Index(in, []byte("\r\n\r\n")) + 4
	if end < 4 {
		return nil, nil, false
	}
	length := max(0, contentLength(in[:end]))
	if len(in) < end+length {
		return nil, nil, false
	}
	return in[:end], in[end : end+length], true
}

// contentLength returns the value of the Content-Length field, and -1 if there is none.
func contentLength(header []byte) int {
	const name = "\ncontent-length:"
	for at := bytes.IndexByte(header, '\n'); at >= 0 && at+len(name) < len(header); {
		line := header[at:]
		if bytes.EqualFold(line[:len(name)], []byte(name)) {
			value, _, _ := bytes.Cut(line[len(name):], []byte("\r"))
			n, _ := strconv.Atoi(string(bytes.TrimSpace(value)))
			return n
		}
		next := bytes.IndexByte(line[1:], '\n')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return -1
}

func (s *upstreamServer) respond(c *upstreamConn, header, body []byte) {
	if bytes.HasPrefix(header, []byte("GET /-/tally ")) {
		b, _ := json.Marshal(s.tally) // numbers only
		_, _ = syscall.Write(c.fd, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b))
		return
	}
	s.tally.Requests++
	now := time.Now()
	_, ask, _ := bytes.Cut(body, []byte(`"ask":"`))
	ask, _, _ = bytes.Cut(ask, []byte(`"`))
	for _, t := range s.timers {
		if t.ask == string(ask) {
			c.left, c.due = t.count, now.Add(t.every)
			t.conns = append(t.conns, c)
		}
	}
	switch string(ask) {
	case askSlow:
	case askSilent, askEvents, askBrief:
		_, _ = syscall.Write(c.fd, append([]byte(streamHeader), s.eventDue(now)...))
	case askLarge:
		s.write(c, s.large)
	case askRefused:
		s.tally.Refused++
		fallthrough
	default:
		_, _ = syscall.Write(c.fd, []byte(response))
	}
}

// write writes more than fits the socket's buffer. Nobody else is served meanwhile.
func (s *upstreamServer) write(c *upstreamConn, b []byte) {
	_ = syscall.SetNonblock(c.fd, false)
	for len(b) > 0 {
		n, err := syscall.Write(c.fd, b)
		if err != nil && err != syscall.EINTR {
			return // the next read reports it as well
		}
		b = b[max(n, 0):]
	}
	_ = syscall.SetNonblock(c.fd, true)
}

// eventDue returns an event as a chunk.
func (s *upstreamServer) eventDue(due time.Time) []byte {
	s.event = fmt.Appendf(s.event[:0], "%x\r\n%s%0*d%s\r\n", len(eventBegin)+eventDigits+len(eventEnd), eventBegin, eventDigits, due.UnixMicro(), eventEnd)
	return s.event
}

// sendDue sends what is due and returns when there is more.
func (s *upstreamServer) sendDue() (next time.Time) {
	now := time.Now()
	next = now.Add(200 * time.Millisecond)
	for _, t := range s.timers {
		for len(t.conns) > 0 && !t.conns[0].due.After(now) {
			c := t.conns[0]
			t.conns = t.conns[1:]
			switch {
			case c.closed:
			case t.ask == askSlow:
				_, _ = syscall.Write(c.fd, []byte(response))
			case c.left == 0:
				_, _ = syscall.Write(c.fd, []byte(lastChunk))
			default:
				event := s.eventDue(c.due)
				if n, _ := syscall.Write(c.fd, event); n < len(event) {
					s.tally.Stalled++
				}
				s.tally.Events++
				c.left--
				c.due = c.due.Add(t.every)
				t.conns = append(t.conns, c)
			}
		}
		if len(t.conns) > 0 && t.conns[0].due.Before(next) {
			next = t.conns[0].due
		}
	}
	return next
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

// tally asks the upstream about itself, over a connection that it counts once.
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
