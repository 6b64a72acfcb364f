package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// switchProtocols answers 101 and passes on what both sides say from then on, until both have ended or one fails.
func (x *exchange) switchProtocols(res *http.Response) error {
	runner, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		x.failed(errors.New("the runner's connection cannot be taken over"))
		return nil
	}
	rec := x.record
	caller, buffered, err := http.NewResponseController(rec).Hijack()
	if err != nil {
		x.failed(fmt.Errorf("the caller's connection cannot be taken over: %w", err))
		return nil
	}
	defer caller.Close()
	rec.switched()
	// Who waits in a Read hears of the end by it.
	defer context.AfterFunc(rec.ctx, func() { runner.Close(); caller.Close() })()

	h := rec.Header()
	x.proxy.passHeader(h, res.Header)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, res.Header["Upgrade"]
	h["X-Request-Id"] = []string{rec.id}
	head := http.Response{ProtoMajor: 1, ProtoMinor: 1, StatusCode: http.StatusSwitchingProtocols, Header: h}
	if err := head.Write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	ended := make(chan error, 2)
	// net/http may have read more than the request. The rest comes from the connection itself: to net/http's reader,
	// a caller who has nothing more to say has left.
	said := io.MultiReader(io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered())), caller)
	go func() { ended <- pass(runner, said) }()
	go func() { ended <- pass(caller, runner) }()
	for range cap(ended) {
		if <-ended != nil {
			break // how a websocket ends is between the two
		}
	}
	return nil
}

// pass copies what one side says to the other, and that it has nothing more to say.
func pass(to io.Writer, from io.Reader) error {
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.New("there is no way to say that this side has ended")
}
