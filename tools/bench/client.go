//go:build bench

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httputil"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// clients send a load. They write and read HTTP/1.1 themselves: net/http would take longer for it than some products take to forward it.
type clients struct {
	load
	begin time.Time
	sent  atomic.Int64
	open  sync.WaitGroup // until all streams are

	mu sync.Mutex // guards what follows
	outcome
	took []time.Duration
}

// client is one connection of a load.
type client struct {
	*clients
	conn   net.Conn // nil if there is none
	r      *bufio.Reader
	took   []time.Duration
	opened bool // whether its stream is counted as open
}

// serveClients is the subcommand that sends a load, which it reads from a file. It prints "open" when all event streams are, and the outcome in the end.
func serveClients(ctx context.Context, args []string, out io.Writer) error {
	debug.SetGCPercent(400)
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	all := &clients{begin: time.Now()}
	if err := json.Unmarshal(text, &all.load); err != nil {
		return err
	}
	if all.For > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, all.For)
		defer cancel()
	}
	var done sync.WaitGroup
	all.open.Add(all.Connections)
	for range all.Connections {
		done.Go(func() { all.client(ctx) })
	}
	if all.Streams {
		all.open.Wait()
		fmt.Fprintln(out, "open")
	}
	done.Wait()
	all.Took = time.Since(all.begin)
	if slices.Sort(all.took); len(all.took) > 0 {
		all.P50, all.P99, all.Max = all.took[len(all.took)/2], all.took[len(all.took)*99/100], all.took[len(all.took)-1]
	}
	return json.NewEncoder(out).Encode(all.outcome)
}

// client sends requests over one connection, or over another after a failure, until the load ends.
func (all *clients) client(ctx context.Context) {
	c := &client{clients: all}
	defer func() { c.hangUp() }()
	done, failed, fault := 0, 0, ""
	for {
		n := all.sent.Add(1) - 1
		due := time.Now()
		if all.Rate > 0 {
			due = all.begin.Add(time.Duration(n) * time.Second / time.Duration(all.Rate))
			_ = pause(ctx, time.Until(due))
		}
		if ctx.Err() != nil {
			break
		}
		err := c.exchange(ctx, all.Requests[int(n)%len(all.Requests)], due)
		if err == nil {
			done++
		} else {
			failed++
			fault = cmp.Or(fault, err.Error())
			c.hangUp()
		}
		if all.Streams {
			break
		}
	}
	if !c.opened {
		all.open.Done()
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.Done += done
	all.Failed += failed
	all.Fault = cmp.Or(all.Fault, fault)
	all.took = append(all.took, c.took...)
}

// dial connects. Whatever is not here when the load ends gets half a minute more, except streams, which end with it.
func (c *client) dial(ctx context.Context) (err error) {
	if c.conn, err = net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(c.Port)); err != nil {
		return err
	}
	conn, wait := c.conn, time.Minute/2
	if c.Streams {
		wait = 0
	}
	c.r = bufio.NewReader(conn)
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(wait)) })
	return nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// exchange sends a request and reads the response to it, or a part of it where the client is to leave.
func (c *client) exchange(ctx context.Context, request string, due time.Time) error {
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	if c.Leave > 0 {
		_ = c.conn.SetDeadline(due.Add(rand.N(c.Leave)))
	}
	err := c.response(ctx, request)
	if c.Leave > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		c.hangUp()
		return nil
	}
	if err == nil && !c.Streams {
		c.took = append(c.took, time.Since(due))
	}
	return err
}

func (c *client) response(ctx context.Context, request string) error {
	if _, err := io.WriteString(c.conn, request); err != nil {
		return err
	}
	first, length, err := readHeader(c.r)
	if err != nil {
		return fmt.Errorf("after %q: %w", first, err)
	}
	var body []byte
	switch {
	case !strings.HasPrefix(first, fmt.Sprintf("HTTP/1.1 %d ", c.Status)):
		return fmt.Errorf("response %q", first)
	case c.Streams:
		return c.events(ctx)
	case length == largeBody:
		_, err = c.r.Discard(length)
	case length >= 0:
		body, err = c.r.Peek(length)
		_, _ = c.r.Discard(len(body)) // they are in the buffer
	default:
		body, err = io.ReadAll(httputil.NewChunkedReader(c.r))
		if err == nil {
			_, err = c.r.ReadSlice('\n') // the end of the trailers, of which there are none
		}
	}
	if err == nil && (!bytes.HasSuffix(body, []byte(c.End)) || c.Events > 0 && bytes.Count(body, []byte(eventPrefix)) != c.Events) {
		err = errors.New("wrong body")
	}
	if err != nil {
		return fmt.Errorf("response %q with %.600q: %w", first, body, err)
	}
	return nil
}

// events reads an event stream until the load ends.
func (c *client) events(ctx context.Context) error {
	r := bufio.NewReader(httputil.NewChunkedReader(c.r))
	var last time.Time
	for {
		line, err := r.ReadSlice('\n')
		if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("event stream after %q: %w", line, err)
		}
		digits, ok := bytes.CutPrefix(line, []byte(eventPrefix))
		if !ok {
			continue
		}
		micros, err := strconv.ParseInt(string(bytes.TrimRight(digits, "\"}\n")), 10, 64)
		if err != nil {
			return err
		}
		due := time.UnixMicro(micros)
		if gap := due.Sub(last); c.opened && gap != eventEvery {
			return fmt.Errorf("an event due %s after the one before it", gap)
		}
		c.took = append(c.took, time.Since(due))
		if last = due; !c.opened {
			c.opened = true
			c.open.Done()
		}
	}
}
