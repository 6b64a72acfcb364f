package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// IsMountPoint reports whether the file at path is a mount point of its own, such as a file that is mounted into a
// container by itself (docker's -v FILE:FILE, a Kubernetes subPath). When such a file is replaced outside, the new one
// never arrives. It is false if that is not known.
func IsMountPoint(path string) bool {
	real, err := limited(path, func() (string, error) { return resolved(path) }, nil)
	if err != nil {
		return false
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo") // proc(5); the fifth field is the mount point
	return err == nil && hasMount(string(mounts), real)
}

// resolved returns the absolute path of a file, without symbolic links.
func resolved(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

func hasMount(mountinfo, path string) bool {
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 && unescape.Replace(fields[4]) == path {
			return true
		}
	}
	return false
}

// unescape undoes the escapes that mountinfo has in paths.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
