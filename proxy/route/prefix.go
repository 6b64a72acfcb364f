package route

import (
	"fmt"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// maxPrefix is the longest prefix accepted, in bytes. It leaves most of [maxPath] to what follows it.
const maxPrefix = 256

// ValidatePrefix returns what is wrong with a prefix that clients put before every path, or nil. The empty prefix is
// valid.
func ValidatePrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if path, _, err := canonical(prefix); err != nil || path != prefix || strings.HasSuffix(prefix, "/") || len(prefix) > maxPrefix {
		return fmt.Errorf("%q: want a path such as /chat: letters, digits, - . _ ~ after single slashes, none at the end, and at most %d bytes", prefix, maxPrefix)
	}
	return nil
}

// CutPrefix returns what follows a prefix in a path, beginning with a slash, and whether the path has the prefix. The
// prefix must be there once, byte by byte.
func CutPrefix(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && strings.HasPrefix(rest, "/")
}

// outsidePrefix returns the refusal of a path that lacks the prefix.
func outsidePrefix(path string) *problem.Error {
	return &problem.Error{Code: problem.NotExposed, Detail: nothingHere, Reason: "the path is not below --path-prefix; it begins " + beginning(path)}
}

// nothingHere is what clients are told when a path leads nowhere, whatever the reason.
const nothingHere = "there is nothing here, or it is not exposed"
