package route

import (
	"fmt"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// maxPrefix is the longest prefix accepted, in bytes. It leaves most of [maxPath] to what follows.
const maxPrefix = 256

// ValidatePrefix returns what is wrong with a prefix that clients put before every path, or nil. An empty one is none.
func ValidatePrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if path, _, err := canonical(prefix); err != nil || path != prefix || strings.HasSuffix(prefix, "/") || len(prefix) > maxPrefix {
		return fmt.Errorf("%q: want a path such as /chat: letters, digits, - . _ ~ after single slashes, none at the end, and at most %d bytes", prefix, maxPrefix)
	}
	return nil
}

// CutPrefix returns what follows a prefix in a path, which begins with a slash, and whether the path has the prefix. It has
// only one spelling: the bytes of the prefix, once.
func CutPrefix(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && strings.HasPrefix(rest, "/")
}

// outsidePrefix is the refusal of a path that lacks the prefix.
func outsidePrefix(path string) *problem.Error {
	return &problem.Error{Code: problem.NotExposed, Detail: nothingHere, Reason: "the path is not below --path-prefix; it begins " + beginning(path)}
}

// nothingHere is what clients are told of a path that leads nowhere, whatever the reason.
const nothingHere = "there is nothing here, or it is not exposed"
