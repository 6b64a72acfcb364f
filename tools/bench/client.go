//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// clients is the state of a load.
type clients struct {
	load
	outcome
	loop   *eventLoop
	conns  map[int]*clientConn
	idle   []*clientConn
	busy   int
	sent   int
	took   []time.Duration
	buffer []byte
}

type clientConn struct {
	fd      int
	in      []byte // of the response, except most of a large body
	rest    int    // bytes of the body to come
	framed  bool   // whether that is known
	due     time.Time
	leave   time.Time // when the connection is closed; zero means never
	event   time.Time // when the last event was due
	opened  bool      // the header and the first event of the stream are here
	waiting bool      // for a response
}

// serveClients is the subcommand that sends a load, which it reads from a file. It prints "open" when all event streams are, and the outcome in the end.
func serveClients(ctx context.Context, args []string, out io.Writer) error {
	runtime.LockOSThread()
	debug.SetGCPercent(400)
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	c := &clients{conns: map[int]*clientConn{}, buffer: make([]byte, 256<<10), took: make([]time.Duration, 0, 1<<20)}
	if err := json.Unmarshal(text, &c.load); err != nil {
		return err
	}
	if c.loop, err = newEventLoop(); err != nil {
		return err
	}
	for range c.Connections {
		if err := c.connect(); err != nil {
			return err
		}
	}
	begin := time.Now()
	if err := c.send(ctx, begin, out); err != nil {
		return err
	}
	c.Took = time.Since(begin)
	if slices.Sort(c.took); len(c.took) > 0 {
		c.P50, c.P99, c.Max = c.took[len(c.took)/2], c.took[len(c.took)*99/100], c.took[len(c.took)-1]
	}
	return json.NewEncoder(out).Encode(c.outcome)
}

func (c *clients) connect() error {
	fd, err := dial(c.Port)
	if err != nil {
		return err
	}
	conn := &clientConn{fd: fd}
	c.conns[fd] = conn
	c.idle = append(c.idle, conn)
	return c.loop.add(fd)
}

// send sends requests until the load ends, and then waits for the responses to them.
func (c *clients) send(ctx context.Context, begin time.Time, out io.Writer) error {
	const responseTimeout = 30 * time.Second
	end := begin.Add(c.For)
	open, over := false, false
	for {
		now := time.Now()
		if !over && (ctx.Err() != nil || c.For > 0 && !now.Before(end)) {
			over, end = true, now
		}
		next := now.Add(100 * time.Millisecond)
		for !over && len(c.idle) > 0 {
			due := time.Now()
			if c.Rate > 0 {
				due = begin.Add(time.Duration(c.sent) * time.Second / time.Duration(c.Rate))
				if next = due; due.After(now) {
					break
				}
			}
			conn := c.idle[0] // the longest idle, or the gate would close a connection that never gets its turn
			c.idle = c.idle[1:]
			c.request(conn, due)
		}
		if c.Streams && !open && c.Done+c.Failed == c.Connections {
			open = true
			fmt.Fprintln(out, "open")
		}
		switch {
		case over && (c.busy == 0 || c.Streams):
			return nil
		case over && now.After(end.Add(responseTimeout)):
			c.Failed += c.busy
			c.Fault = fmt.Sprintf("no response within %s", responseTimeout)
			return nil
		}
		if err := c.loop.wait(next, c.readable); err != nil {
			return err
		}
		if c.Leave > 0 {
			if err := c.leaveDue(); err != nil {
				return err
			}
		}
	}
}

func (c *clients) request(conn *clientConn, due time.Time) {
	*conn = clientConn{fd: conn.fd, in: conn.in[:0], due: due, waiting: true}
	if c.Leave > 0 {
		conn.leave = due.Add(rand.N(c.Leave))
	}
	c.busy++
	if _, err := syscall.Write(conn.fd, []byte(c.load.Requests[c.sent%len(c.load.Requests)])); err != nil {
		c.fail(conn, err.Error())
	}
	c.sent++
}

func (c *clients) readable(fd int) {
	conn := c.conns[fd]
	n, err := syscall.Read(fd, c.buffer)
	switch {
	case conn == nil || err == syscall.EAGAIN || err == syscall.EINTR:
		return
	case n <= 0 || err != nil:
		c.fail(conn, fmt.Sprintf("the connection ended after %.300q: %v", conn.in, err))
		return
	case !conn.waiting:
		c.fail(conn, fmt.Sprintf("%.300q without a request", c.buffer[:n]))
		return
	}
	conn.rest -= n
	if !conn.framed || conn.rest < 4096 {
		conn.in = append(conn.in, c.buffer[:n]...)
	}
	switch {
	case conn.opened:
		c.events(conn)
	case !c.complete(conn):
	case !bytes.HasPrefix(conn.in, fmt.Appendf(nil, "HTTP/1.1 %d ", c.Status)), !bytes.HasSuffix(conn.in, []byte(c.End)),
		c.Events > 0 && bytes.Count(conn.in, []byte(eventBegin)) != c.Events:
		c.fail(conn, fmt.Sprintf("response %.600q", conn.in))
	case c.Streams:
		c.Done++
		conn.opened = true
		c.events(conn)
	default:
		c.Done++
		c.took = append(c.took, time.Since(conn.due))
		c.busy--
		conn.waiting = false
		c.idle = append(c.idle, conn)
	}
}

// complete reports whether all of a response is here or, of a stream that is to be held open, the first event.
func (c *clients) complete(conn *clientConn) bool {
	if conn.framed {
		return conn.rest == 0
	}
	end := bytes.Index(conn.in, []byte("\r\n\r\n")) + 4
	if end < 4 {
		return false
	}
	body := conn.in[end:]
	if length := contentLength(conn.in[:end]); length >= 0 {
		conn.framed, conn.rest = true, length-len(body)
		return conn.rest == 0
	}
	return c.Streams && bytes.Contains(body, []byte(eventEnd)) || bytes.HasSuffix(body, []byte("\r\n"+lastChunk))
}

// events notes the events of a stream that are here.
func (c *clients) events(conn *clientConn) {
	now := time.Now()
	for {
		at := bytes.Index(conn.in, []byte(eventBegin))
		if at < 0 || len(conn.in) < at+len(eventBegin)+eventDigits {
			return
		}
		digits := conn.in[at+len(eventBegin):][:eventDigits]
		micros, _ := strconv.ParseInt(string(digits), 10, 64) // zero is a fault, too
		conn.in = conn.in[:copy(conn.in, conn.in[at+len(eventBegin)+eventDigits:])]
		due := time.UnixMicro(micros)
		if gap := due.Sub(conn.event); !conn.event.IsZero() && gap != eventEvery {
			c.fail(conn, fmt.Sprintf("an event due %s after the one before it", gap))
			return
		}
		c.took = append(c.took, now.Sub(due))
		conn.event = due
	}
}

func (c *clients) fail(conn *clientConn, fault string) {
	c.Failed++
	if c.Fault == "" {
		c.Fault = fault
	}
	c.close(conn)
	if !c.Streams {
		_ = c.connect() // if it fails, the load goes on with a connection less
	}
}

func (c *clients) close(conn *clientConn) {
	if conn.waiting {
		c.busy--
	}
	c.idle = slices.DeleteFunc(c.idle, func(i *clientConn) bool { return i == conn })
	delete(c.conns, conn.fd)
	_ = syscall.Close(conn.fd)
}

// leaveDue closes the connections of clients that leave before the response.
func (c *clients) leaveDue() error {
	now := time.Now()
	for _, conn := range c.conns {
		if conn.waiting && conn.leave.Before(now) {
			c.Done++
			c.close(conn)
			if err := c.connect(); err != nil {
				return err
			}
		}
	}
	return nil
}
