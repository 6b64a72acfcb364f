package watch

import (
	"io/fs"
	"syscall"
	"time"
)

// stamp tells one state of a file from another without reading it. The time of the last change of
// status is part of it, because a program can set the time of modification and cannot set that one.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

func stampOf(info fs.FileInfo) stamp {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{ctime: syscall.NsecToTimespec(time.Now().UnixNano())} // never equal, so always read
	}
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}

func (s stamp) changed() time.Time { return time.Unix(s.ctime.Sec, s.ctime.Nsec) }

// sameFile reports whether both are states of one file, not of two with one name. A file that was
// removed and made anew may get the same number, and then counts as one.
func (s stamp) sameFile(t stamp) bool { return s.dev == t.dev && s.ino == t.ino }
