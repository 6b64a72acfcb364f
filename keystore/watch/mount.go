package watch

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// IsMountPoint reports whether the file at path is a mount point of its own, as a file that is mounted
// into a container by itself is (docker's -v FILE:FILE, a Kubernetes subPath). Such a mount holds the
// file as it was: when the file outside is replaced, the new one never arrives.
// Where that cannot be told, the answer is no.
func IsMountPoint(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return false
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo") // proc(5); the fifth field is the mount point
	if err != nil {
		return false
	}
	return hasMount(string(mounts), real)
}

func hasMount(mountinfo, path string) bool {
	lines := bufio.NewScanner(strings.NewReader(mountinfo))
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && unescape(fields[4]) == path {
			return true
		}
	}
	return false
}

// unescape undoes the octal escapes that mountinfo has for white space and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
