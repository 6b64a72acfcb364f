package keystore

import (
	"regexp"
	"strings"
)

var plainPath = regexp.MustCompile(`^[\w./@%+,:=-]+$`)

// ForShell returns a path as it is typed in a shell, for messages that suggest a command: in quotes, if it has a character
// that may mean something there.
func ForShell(path string) string {
	if plainPath.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
