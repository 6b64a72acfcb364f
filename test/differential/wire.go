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

// Response is one response.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

func (a Response) String() string { return fmt.Sprintf("%d %.300s", a.Status, a.Body) }

// timeout is how long a response that must come may take.
const timeout = 10 * time.Second

// Send writes a case to an address as it is, and reads the response or, if c.Odd, all responses. Then there may be none: after
// the time doubt, Send closes its side of the connection, so that the server knows that nothing more will come. Each case
// has a connection and a client address of its own, so that no failure limit counts one case against another.
func Send(addr string, c Case, doubt time.Duration) ([]Response, error) {
	d := net.Dialer{Timeout: timeout, LocalAddr: &net.TCPAddr{IP: ClientIP(c.Index)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	closeWrite := conn.(*net.TCPConn).CloseWrite
	_ = conn.SetDeadline(time.Now().Add(timeout))
	_, _ = conn.Write(c.Raw) // fails if the server responds or closes the connection before it has read everything

	wait := timeout
	if c.Odd {
		wait = doubt
	}
	in := bufio.NewReader(conn)
	var responses []Response
	closed := false
	for {
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		if _, err := in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) && !closed {
			closed = true
			_ = closeWrite()
			wait = timeout
			continue
		} else if err != nil {
			return responses, nil // the server closed the connection
		}
		_ = conn.SetReadDeadline(time.Now().Add(timeout))
		a, err := read(in, c)
		if err != nil {
			return responses, nil // not HTTP, or incomplete: the responses before it count
		}
		if a.Status >= 200 {
			responses = append(responses, a)
			if !c.Odd {
				return responses, nil
			}
			if !closed && bytes.Count(c.Raw, []byte("HTTP/")) < 2 { // there is no second request to wait for
				closed, wait = true, timeout
				_ = closeWrite()
			}
		}
	}
}

func read(in *bufio.Reader, c Case) (Response, error) {
	req := &http.Request{Method: http.MethodGet}
	if len(c.Raw) > 4 && string(c.Raw[:5]) == "HEAD " {
		req.Method = http.MethodHead
	}
	res, err := http.ReadResponse(in, req)
	if err != nil {
		return Response{}, err
	}
	defer res.Body.Close()
	a := Response{Status: res.StatusCode, Header: res.Header}
	if res.StatusCode >= 200 {
		a.Body, err = io.ReadAll(res.Body)
	}
	return a, err
}

// ClientIP returns the client address of a case.
func ClientIP(index int) net.IP {
	return net.IPv4(127, 1+byte(index>>16&0x7f), byte(index>>8), 1+byte(index&0x7f))
}
