//go:build unix

package transport

import (
	"errors"
	"net"
	"syscall"
)

// probe tells whether something has arrived on a connection, without waiting for it or reading it.
type probe struct {
	raw  syscall.RawConn
	peek func(fd uintptr) bool // made once, because it is called for every request
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
	p.peek = func(fd uintptr) bool {
		_, _, p.err = syscall.Recvfrom(int(fd), p.byte[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
}

// quiet reports whether nothing has arrived, not even the end of the connection.
func (p *probe) quiet() bool {
	if p.raw == nil {
		return true // not a socket, as in tests
	}
	return p.raw.Read(p.peek) == nil && errors.Is(p.err, syscall.EAGAIN)
}
