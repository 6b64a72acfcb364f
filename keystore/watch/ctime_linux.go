package watch

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime returns the time of the last change of a file or of its status, which programs cannot set, unlike the time
// of modification.
func changeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return time.Time{}
}
