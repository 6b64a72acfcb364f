package edit

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	lockWait  = 10 * time.Second // by default
	lockQuiet = time.Second      // before anybody is told that an edit waits
)

// lock opens a directory and keeps other edits out of it until it is closed. It locks the directory rather than the file,
// which is replaced, and leaves no lock file behind.
func (o *Options) lock(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- flock(dir) }() // this gives waiting edits their turn, but has no time limit
	started, wait := time.Now(), cmp.Or(o.Wait, lockWait)
	select {
	case err = <-locked:
		return closeAfter(dir, err)
	case <-time.After(min(wait, lockQuiet)):
	}
	if o.Waiting != nil {
		o.Waiting(holderOf(dir))
	}
	select {
	case err = <-locked:
		return closeAfter(dir, err)
	case <-time.After(wait - time.Since(started)):
	}
	holder := holderOf(dir)
	go func() { // gives the lock back if it comes after all
		if dir, err := closeAfter(dir, <-locked); err == nil {
			dir.Close()
		}
	}()
	return nil, fmt.Errorf("%s has held the lock on the directory for %s; wait until it ends, or end it if it hangs", holder, wait)
}

func closeAfter(dir *os.File, err error) (*os.File, error) {
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}

// holderOf says which process holds the lock on a directory. Only Linux tells, and only about processes that this one can
// see. The guess can be wrong if two file systems have the same inode number, which does no harm.
func holderOf(dir *os.File) string {
	const unknown = "another process"
	info, err := dir.Stat()
	if err != nil {
		return unknown
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return unknown
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return unknown
	}
	inode := fmt.Sprintf(":%d", st.Ino)
	for line := range strings.Lines(string(locks)) { // 1: FLOCK ADVISORY WRITE 4711 08:01:131104 0 EOF
		f := strings.Fields(line)
		if len(f) > 5 && f[1] == "FLOCK" && strings.HasSuffix(f[5], inode) && f[4] != "0" && f[4] != "-1" {
			return "process " + f[4] + commandOf(f[4])
		}
	}
	return unknown
}

// commandOf returns the name of a process's program, in parentheses, or nothing if it is not known.
func commandOf(pid string) string {
	name, err := os.ReadFile("/proc/" + pid + "/comm")
	text := strings.TrimSpace(string(name)) // a program can choose its name
	if err != nil || text == "" || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return " (" + text + ")"
}
