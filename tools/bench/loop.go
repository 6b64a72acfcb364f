//go:build bench

package main

import (
	"syscall"
	"time"
	"unsafe"
)

// eventLoop waits for many sockets on one thread. Upstream and client use it instead of net/http, so that the core which they share can keep up with
// every product on the other one.
type eventLoop struct {
	fd    int
	ready []syscall.EpollEvent
}

func newEventLoop() (*eventLoop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &eventLoop{fd, make([]syscall.EpollEvent, 512)}, err
}

// add reports fd in later calls of wait whenever it can be read.
func (l *eventLoop) add(fd int) error {
	return syscall.EpollCtl(l.fd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

// wait calls readable for each socket that can be read, and returns at the given time at the latest.
func (l *eventLoop) wait(until time.Time, readable func(fd int)) error {
	const epollPwait2 = 441 // epoll_wait counts in milliseconds, which are too coarse for events that are due every 200 µs
	timeout := syscall.NsecToTimespec(max(0, int64(time.Until(until))))
	n, _, errno := syscall.Syscall6(epollPwait2, uintptr(l.fd), uintptr(unsafe.Pointer(&l.ready[0])), uintptr(len(l.ready)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno == syscall.EINTR {
		return nil
	} else if errno != 0 {
		return errno
	}
	for _, e := range l.ready[:n] {
		readable(int(e.Fd))
	}
	return nil
}

// listen returns a listening socket on loopback and its port.
func listen() (fd, port int, err error) {
	if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, err
	}
	if err := syscall.Listen(fd, 8192); err != nil {
		return 0, 0, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	return fd, name.(*syscall.SockaddrInet4).Port, nil
}

// accept returns the next connection of a listening socket; the error is EAGAIN if there is none.
func accept(listener int) (fd int, err error) {
	if fd, _, err = syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC); err != nil {
		return 0, err
	}
	return fd, syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
}

// dial connects to a port on loopback.
func dial(port int) (fd int, err error) {
	if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		syscall.Close(fd)
		return 0, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return 0, err
	}
	return fd, syscall.SetNonblock(fd, true)
}
