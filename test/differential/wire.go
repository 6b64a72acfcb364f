//go:build e2e

package differential

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Answer is one response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

func (a Answer) String() string { return fmt.Sprintf("%d %.300s", a.Status, a.Body) }

// patience is how long an answer that must come may take.
const patience = 10 * time.Second

// Send writes a case to an address as it is, and reads the answers: the first, or, if the end of the request is in doubt,
// all there are. An answer may not come then; after a time of doubt the caller closes its side, and the server knows that
// nothing more will come. Each case has a connection and a caller's address of its own, so that none is held responsible
// for another.
func Send(addr string, c Case, doubt time.Duration) ([]Answer, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: Caller(c.Index)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	closeWrite := conn.(*net.TCPConn).CloseWrite
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write(c.Raw) // an error means that the server has answered, or hung up, before it read all

	wait := patience
	if c.Odd {
		wait = doubt
	}
	in := bufio.NewReader(conn)
	var answers []Answer
	closed := false
	for {
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		if _, err := in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) && !closed {
			closed = true
			_ = closeWrite()
			wait = patience
			continue
		} else if err != nil {
			return answers, nil // hung up
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		a, err := read(in, c)
		if err != nil {
			return answers, nil // no HTTP, or cut: what came before counts
		}
		if a.Status >= 200 {
			answers = append(answers, a)
			if !c.Odd {
				return answers, nil
			}
			if !closed && bytes.Count(c.Raw, []byte("HTTP/")) < 2 { // there is no second request to wait for
				closed, wait = true, patience
				_ = closeWrite()
			}
		}
	}
}

func read(in *bufio.Reader, c Case) (Answer, error) {
	req := &http.Request{Method: http.MethodGet}
	if len(c.Raw) > 4 && string(c.Raw[:5]) == "HEAD " {
		req.Method = http.MethodHead
	}
	res, err := http.ReadResponse(in, req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	a := Answer{Status: res.StatusCode, Header: res.Header}
	if res.StatusCode >= 200 {
		a.Body, err = io.ReadAll(res.Body)
	}
	return a, err
}

// Caller is the address that a case comes from.
func Caller(index int) net.IP {
	return net.IPv4(127, 1+byte(index>>16&0x7f), byte(index>>8), 1+byte(index&0x7f))
}
