package watch

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime returns the time of the last change of a file's content or status (ctime). Programs cannot set it, unlike
// the time of modification.
func changeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return time.Time{}
}
