//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// The answers of the upstream, and of every product with it.
const (
	answerBody  = `{"text":"hello"}`
	answer      = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + answerBody
	streamHead  = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
	wrongAsked  = `"wrong":true`     // in the body of a request that must not come
	streamAsked = `"streaming":true` // in the body of a request that wants an event stream
	eventBegin  = "message:\ndata:{\"event\":\"token\",\"data\":\""
	eventEnd    = "\"}\n\n"
	every       = time.Second // an event on each stream
)

// tally is what the upstream tells about itself.
type tally struct {
	Accepted int `json:"accepted"` // connections ever
	Requests int `json:"requests"`
	Streams  int `json:"streams"` // open
	Wrong    int `json:"wrong"`   // requests that should have been refused
	Stalled  int `json:"stalled"` // events that the kernel did not take at once
}

// rawServer answers HTTP/1.1 with as little as possible: one thread, one read and one write for a request.
// It is no server for any other use: it believes its callers, and what they send must fit a buffer.
type rawServer struct {
	poll, listener int
	conns          map[int]*rawConn
	tally          tally
	events         bool       // whether streams get one each second
	due            []*rawConn // streams in the order in which they get their next
	event          []byte
}

type rawConn struct {
	fd     int
	in     []byte
	n      int // bytes in it
	stream bool
	next   time.Time
	closed bool
}

// serveUpstream is the child that stands in for the flow runner. It prints its address.
func serveUpstream(ctx context.Context, _ *options, out io.Writer) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // it allocates for connections only
	s := &rawServer{conns: map[int]*rawConn{}}
	addr, err := s.listen()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\n", addr)
	return s.serve(ctx)
}

func (s *rawServer) listen() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	if err := syscall.Listen(fd, 8192); err != nil {
		return "", err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	s.listener = fd
	if s.poll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port)), watch(s.poll, fd)
}

// watch has epoll tell when there is something to read.
func watch(poll, fd int) error {
	return syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func (s *rawServer) serve(ctx context.Context) error {
	ready := make([]syscall.EpollEvent, 512)
	for ctx.Err() == nil {
		n, err := syscall.EpollWait(s.poll, ready, s.timeout())
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, e := range ready[:max(n, 0)] {
			if int(e.Fd) == s.listener {
				s.accept()
			} else if c := s.conns[int(e.Fd)]; c != nil {
				s.read(c)
			}
		}
		if s.events {
			s.sendDue()
		}
	}
	return nil
}

// timeout is how long to wait, in milliseconds.
func (s *rawServer) timeout() int {
	if !s.events || len(s.due) == 0 {
		return 200 // then ctx is looked at
	}
	return int(min(200, max(0, (time.Until(s.due[0].next)+time.Millisecond-1)/time.Millisecond)))
}

func (s *rawServer) accept() {
	for {
		fd, _, err := syscall.Accept4(s.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		s.tally.Accepted++
		s.conns[fd] = &rawConn{fd: fd, in: make([]byte, 4096)}
		_ = watch(s.poll, fd)
	}
}

func (s *rawServer) close(c *rawConn) {
	if c.stream {
		s.tally.Streams--
	}
	c.closed = true
	delete(s.conns, c.fd)
	_ = syscall.Close(c.fd)
}

func (s *rawServer) read(c *rawConn) {
	n, err := syscall.Read(c.fd, c.in[c.n:])
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if n <= 0 || err != nil {
		s.close(c)
		return
	}
	c.n += n
	for c.n > 0 && !c.closed {
		used := s.request(c, c.in[:c.n])
		if used == 0 {
			break
		}
		c.n = copy(c.in, c.in[used:c.n])
	}
	if c.n == len(c.in) {
		s.close(c) // larger than anything this is asked
	}
}

// request answers a request and returns its length, or 0 if there is more to come.
func (s *rawServer) request(c *rawConn, in []byte) int {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return 0
	}
	end += 4
	head, body, used := in[:end], in[end:], end
	if at := headerAt(head, "\ncontent-length:"); at >= 0 {
		length, err := strconv.Atoi(string(bytes.TrimSpace(head[at : at+bytes.IndexByte(head[at:], '\r')])))
		if err != nil || len(body) < length {
			return 0
		}
		body, used = body[:length], end+length
	} else if headerAt(head, "\ntransfer-encoding:") >= 0 {
		last := bytes.Index(body, []byte("\r\n0\r\n\r\n"))
		if last < 0 {
			return 0
		}
		used += last + 7
		body = body[:last]
	}
	s.answer(c, head, body)
	return used
}

// headerAt finds a header by its name in lower case and returns where its value begins, or -1.
func headerAt(head []byte, name string) int {
	for at := 0; ; {
		i := bytes.IndexByte(head[at:], '\n')
		if i < 0 || at+i+len(name) > len(head) {
			return -1
		}
		at += i
		if bytes.EqualFold(head[at:at+len(name)], []byte(name)) {
			return at + len(name)
		}
		at++
	}
}

func (s *rawServer) answer(c *rawConn, head, body []byte) {
	switch {
	case bytes.HasPrefix(head, []byte("GET /-/events")):
		s.startEvents()
		_, _ = syscall.Write(c.fd, []byte(answer))
	case bytes.HasPrefix(head, []byte("GET /-/tally")):
		b, _ := json.Marshal(s.tally)
		_, _ = syscall.Write(c.fd, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(b), b))
	case bytes.Contains(body, []byte(streamAsked)):
		s.tally.Requests++
		s.tally.Streams++
		c.stream = true
		_, _ = syscall.Write(c.fd, append([]byte(streamHead), s.eventAt(0)...))
		c.next = time.Now().Add(every)
		s.due = append(s.due, c)
	default:
		s.tally.Requests++
		if bytes.Contains(body, []byte(wrongAsked)) {
			s.tally.Wrong++
		}
		_, _ = syscall.Write(c.fd, []byte(answer))
	}
}

// eventAt is an event as a chunk. It tells when it was due.
func (s *rawServer) eventAt(due int64) []byte {
	digits := strconv.FormatInt(due, 10)
	s.event = fmt.Appendf(s.event[:0], "%x\r\n%s%s%s\r\n", len(eventBegin)+len(digits)+len(eventEnd), eventBegin, digits, eventEnd)
	return s.event
}

// startEvents begins to send events, those of all streams spread over a second.
func (s *rawServer) startEvents() {
	s.events = true
	now := time.Now()
	for i, c := range s.due {
		c.next = now.Add(every * time.Duration(i+1) / time.Duration(len(s.due)))
	}
}

// sendDue sends the events that are due.
func (s *rawServer) sendDue() {
	now := time.Now()
	for len(s.due) > 0 && !s.due[0].next.After(now) {
		c := s.due[0]
		s.due = s.due[1:]
		if c.closed {
			continue
		}
		event := s.eventAt(c.next.UnixNano())
		if n, err := syscall.Write(c.fd, event); err != nil || n < len(event) {
			s.tally.Stalled++
		}
		c.next = c.next.Add(every)
		s.due = append(s.due, c) // still in order: all wait the same time
	}
}

// upstream is a running one.
type upstream struct {
	*process
	addr string
}

func startUpstream(ctx context.Context, dir string) (*upstream, error) {
	p, addr, err := startSelf(ctx, coreOfRest, dir, "upstream")
	return &upstream{p, addr}, err
}

// tally asks the upstream about itself.
func (u *upstream) tally() (t tally, err error) {
	err = getJSON("http://"+u.addr+"/-/tally", &t)
	return t, err
}

// quiet waits until no more requests come, of those that a load left behind, and returns the tally.
func (u *upstream) quiet(ctx context.Context) (t tally, err error) {
	last, same := -1, 0
	err = u.wait(ctx, 10*time.Second, 50*time.Millisecond, "quiet", func() (bool, error) {
		t, err = u.tally()
		if t.Requests != last {
			last, same = t.Requests, 0
		}
		same++
		return same > 5, err
	})
	return t, err
}

var controlClient = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func getJSON(url string, out any) error {
	res, err := controlClient.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(out)
}
