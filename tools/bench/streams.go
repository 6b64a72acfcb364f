//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// held is what a caller saw of the streams it held.
type held struct {
	Open    int     `json:"open"`
	Failed  int     `json:"failed"` // not opened, ended, or short of an event
	Events  int     `json:"events"`
	Late    float64 `json:"late"` // the latest event: ms from when the upstream owed it to when it was here
	P99Late float64 `json:"p99_late"`
	Gap     float64 `json:"gap"` // the longest time between two events of a stream, ms above a second
	Fault   string  `json:"fault,omitempty"`
}

// heldStream is one of them.
type heldStream struct {
	file    *os.File
	due     int64     // of the last event, as the upstream told
	arrived time.Time // when it was here
	events  int
	ended   bool
}

// holdStreams is the child that holds event streams: it opens as many as a file has requests, says so,
// and reads them until it is told to end.
func holdStreams(ctx context.Context, o *options, out io.Writer) error {
	addr, path, ok := strings.Cut(o.only, " ")
	if !ok {
		return errors.New("usage: streams ADDRESS FILE")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var requests []string
	if err := json.Unmarshal(text, &requests); err != nil {
		return err
	}
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	var h held
	streams := map[int]*heldStream{}
	for _, r := range requests {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s, err := openStream(addr, r)
		if err != nil {
			h.fail(err.Error())
			continue
		}
		fd := int(s.file.Fd()) // and blocking, which does no harm: epoll tells when to read
		if err := watch(poll, fd); err != nil {
			return err
		}
		streams[fd] = s
	}
	h.Open = len(streams)
	fmt.Fprintf(out, "listening to %d\n", h.Open)
	late := make([]float64, 0, 1<<20)
	ready, buffer := make([]syscall.EpollEvent, 512), make([]byte, 16<<10)
	for ctx.Err() == nil {
		n, err := syscall.EpollWait(poll, ready, 100)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, e := range ready[:max(n, 0)] {
			s := streams[int(e.Fd)]
			n, err := syscall.Read(int(e.Fd), buffer)
			if n <= 0 || err != nil {
				if err == syscall.EINTR {
					continue
				}
				s.ended = true
				h.fail(fmt.Sprintf("a stream ended after %d events: %v", s.events, err))
				_ = syscall.EpollCtl(poll, syscall.EPOLL_CTL_DEL, int(e.Fd), nil)
				continue
			}
			late = h.note(s, buffer[:n], time.Now(), late)
		}
	}
	newest := int64(0)
	for _, s := range streams {
		newest = max(newest, s.due)
	}
	for _, s := range streams {
		if !s.ended && newest-s.due > int64(1500*time.Millisecond) {
			h.fail("a stream is short of an event")
		}
	}
	if len(late) > 0 {
		slices.Sort(late)
		h.Late, h.P99Late = late[len(late)-1], late[len(late)*99/100]
	}
	return json.NewEncoder(out).Encode(h)
}

func (h *held) fail(fault string) {
	h.Failed++
	if h.Fault == "" {
		h.Fault = fault
	}
}

// note notes the events in what came of a stream.
func (h *held) note(s *heldStream, in []byte, now time.Time, late []float64) []float64 {
	for {
		_, rest, ok := bytes.Cut(in, []byte(`"data":"`))
		if !ok {
			return late
		}
		in = rest
		digits, _, _ := bytes.Cut(in, []byte(`"`))
		due, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil || due == 0 {
			continue // the first, which is sent with the head
		}
		if s.due != 0 && due-s.due != int64(every) {
			h.fail(fmt.Sprintf("an event is missing: %s instead of a second after the one before", time.Duration(due-s.due)))
		}
		if s.events > 0 {
			h.Gap = max(h.Gap, float64(now.Sub(s.arrived)-every)/1e6)
		}
		s.due, s.arrived = due, now
		s.events++
		h.Events++
		late = append(late, float64(now.UnixNano()-due)/1e6)
	}
}

// openStream sends a request and waits for the first event.
func openStream(addr, request string) (*heldStream, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close() // the file is a descriptor of its own
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	var got []byte
	for buffer := make([]byte, 4096); !bytes.Contains(got, []byte(eventEnd)); {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, fmt.Errorf("after %q: %w", got, err)
		}
		got = append(got, buffer[:n]...)
	}
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) {
		return nil, fmt.Errorf("answer %q", got)
	}
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	return &heldStream{file: f}, nil
}

// startSelf starts this program as one of its children and returns what it says it listens on.
func startSelf(ctx context.Context, core, dir, name string, args ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, err := start(ctx, core, dir, name, append([]string{self, name}, args...)...)
	if err != nil {
		return nil, "", err
	}
	var on string
	err = p.wait(ctx, time.Minute, 5*time.Millisecond, "listening: "+name, func() (bool, error) {
		line, _, ok := strings.Cut(p.tail(), "\n")
		_, on, _ = strings.Cut(line, "listening on ")
		return ok, nil
	})
	if err != nil {
		p.end()
		return nil, "", err
	}
	return p, on, nil
}
