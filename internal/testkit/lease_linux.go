package testkit

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// Lease makes whoever opens a file wait, like a mount that hangs.
type Lease struct {
	// File is the file, opened before the lease was taken.
	File *os.File
}

// The commands and types of leases (fcntl(2)).
const (
	setLease   = 1024
	getLease   = 1025
	writeLease = 1
)

// TakeLease takes a lease on a file, which nobody else may have open, and releases it at the end of the test. If others
// wait for the file longer than the 45 s of /proc/sys/fs/lease-break-time, the kernel ends the lease.
func TakeLease(t testing.TB, path string) *Lease {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := &Lease{file}
	t.Cleanup(func() { file.Close() })
	Eventually(t, "lease on "+path, func() bool { // the kernel grants none while another process has the file open
		_, err = l.fcntl(setLease, writeLease)
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			t.Fatalf("lease on %s: %v", path, err)
		}
		return err == nil
	})
	return l
}

func (l *Lease) fcntl(command, argument uintptr) (int, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, l.File.Fd(), command, argument)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Waiting reports whether somebody waits for the file.
func (l *Lease) Waiting() bool {
	n, err := l.fcntl(getLease, 0)
	return err == nil && n != writeLease
}

// Write replaces the content of the file.
func (l *Lease) Write(t testing.TB, content string) {
	t.Helper()
	_, err := l.File.WriteAt([]byte(content), 0)
	if err := errors.Join(err, l.File.Truncate(int64(len(content)))); err != nil {
		t.Fatal(err)
	}
}

// Release ends the lease, and lets all who wait have the file.
func (l *Lease) Release(t testing.TB) {
	t.Helper()
	if err := l.File.Close(); err != nil {
		t.Fatal(err)
	}
}
