package proxy

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// acceptable says what is wrong with the head of a runner's answer, or nil.
func (x *exchange) acceptable(res *http.Response) error {
	switch {
	case res.StatusCode < 100:
		return errors.New("the runner's status is none")
	case res.StatusCode == http.StatusSwitchingProtocols && (!x.upgrade || !isWebsocket(res.Header) || !listed(res.Header["Connection"], "Upgrade")):
		return errors.New("the runner switched protocols unasked")
	}
	return nil
}

// answer passes on the runner's answer: head, body as it comes, trailers. An error ends it in the middle.
func (x *exchange) answer(res *http.Response) error {
	rec := x.record
	h := rec.Header()
	x.proxy.passHeader(h, res.Header)
	announced := len(res.Trailer)
	if announced > 0 {
		names := make([]string, 0, announced)
		for name := range res.Trailer {
			if !x.proxy.private(name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		h["Trailer"] = []string{strings.Join(names, ", ")}
	}
	rec.WriteHeader(res.StatusCode)
	if err := x.passBody(res); err != nil {
		return err
	}
	if len(res.Trailer) > 0 { // known now that the body has ended
		_ = rec.FlushError() // or net/http gives a short answer a length, which has no trailers
		if len(res.Trailer) == announced {
			x.proxy.passHeader(h, res.Trailer)
		} else {
			for name, values := range res.Trailer {
				if !x.proxy.private(name) {
					h[http.TrailerPrefix+name] = values
				}
			}
		}
	}
	return nil
}

// passHeader copies the headers of a runner's answer, or its trailers, except those for one hop only.
func (p *Proxy) passHeader(to, from http.Header) {
	for name, values := range from {
		if !oneHop(name) && !p.private(name) {
			to[name] = values
		}
	}
	removeListed(to, from["Connection"])
}

// private reports whether a header of a runner's answer is not for callers: a session of the runner is nothing for a
// caller who has a key, and lists of alternatives would lead around the gate. Of two answers about origins a
// browser takes none.
func (p *Proxy) private(name string) bool {
	return name == "Set-Cookie" || name == "Alt-Svc" || p.cors != nil && strings.HasPrefix(name, "Access-Control-")
}

// arriving is a body that tells what of it has come. That of package transport is one.
type arriving interface {
	// Buffered is how many bytes can be read without waiting.
	Buffered() int
	// Wait waits until something can be read, or the end has come.
	Wait()
}

// passBody passes on a body. What there is goes out before more is waited for: a stream may be silent for minutes
// after its head, and an answer of known length may come in pieces.
func (x *exchange) passBody(res *http.Response) error {
	if res.Body == http.NoBody {
		return nil
	}
	rec := x.record
	source, _ := res.Body.(arriving)
	// Of an answer in chunks, what has come may be the half of a chunk's size.
	more := func() bool { return source != nil && res.ContentLength >= 0 && source.Buffered() > 0 }
	pieces := &smallPieces
	if res.ContentLength > smallPiece {
		pieces = &largePieces
	}
	piece := pieces.Get().(*[]byte)
	defer func() { pieces.Put(piece) }()
	for {
		if !more() {
			if err := rec.FlushError(); err != nil {
				return err
			}
			if rec.stream && source != nil && res.ContentLength < 0 { // one that is silent holds no memory for what may come
				pieces.Put(piece)
				source.Wait()
				piece = pieces.Get().(*[]byte)
			}
		}
		n, err := res.Body.Read(*piece)
		if n > 0 {
			if _, err := rec.Write((*piece)[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			if res.ContentLength < 0 {
				return nil // and net/http sends what is left with the last chunk
			}
			return rec.FlushError() // before the books are kept, for which nobody must wait
		}
		if err != nil {
			_ = rec.FlushError() // what came before the end that is none, or it would be lost with the connection
			return err
		}
	}
}

// How much of an answer is passed on at a time, in bytes: little of one whose length is not known, since every open
// stream that is not silent holds a piece.
const (
	smallPiece = 4 << 10
	largePiece = 32 << 10
)

var (
	smallPieces = sync.Pool{New: func() any { b := make([]byte, smallPiece); return &b }}
	largePieces = sync.Pool{New: func() any { b := make([]byte, largePiece); return &b }}
)
