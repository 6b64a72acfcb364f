//go:build unix

package transport

import (
	"errors"
	"net"
	"syscall"
)

// probe looks whether something has come on a connection, without waiting for it and without taking it.
type probe struct {
	raw  syscall.RawConn
	look func(fd uintptr) bool // made once, since it is called for every request
	byte [1]byte
	err  error
}

func (p *probe) init(c net.Conn) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	p.raw = raw
	p.look = func(fd uintptr) bool {
		_, _, p.err = syscall.Recvfrom(int(fd), p.byte[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
}

// quiet reports whether nothing has come, not even the end.
func (p *probe) quiet() bool {
	if p.raw == nil {
		return true // a connection of another kind; there is no way to tell
	}
	if err := p.raw.Read(p.look); err != nil {
		return false
	}
	return errors.Is(p.err, syscall.EAGAIN) || errors.Is(p.err, syscall.EWOULDBLOCK) || errors.Is(p.err, syscall.EINTR)
}
