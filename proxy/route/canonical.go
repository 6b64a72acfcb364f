package route

import (
	"strings"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// maxPath is the longest path accepted, in bytes. No preset has a path of 200 bytes or more.
const maxPath = 1024

// canonical splits a request target into path and query if the path is in canonical form, and refuses it otherwise.
// It never repairs anything.
//
// It reads the bytes of the request line rather than the path as a library decoded it, because upstreams decode once
// more: Flowise runs a path through decodeURI, sanitize-html and Express's decoding of parameters
// (packages/server/src/utils/XSS.ts at 2.2.8 and 3.1.4), so percent-encoding, markup and entities in a path all lead
// to the same controller. What remains here are letters, digits, - . _ ~ between single slashes, which none of those
// decoders changes.
func canonical(target string) (path, query string, err *problem.Error) {
	path, query, _ = strings.Cut(target, "?")
	switch {
	case path == "" || path[0] != '/':
		return "", "", problem.New(problem.NotCanonical, "the request target must be a path, beginning with /")
	case len(path) > maxPath:
		return "", "", problem.New(problem.NotCanonical, "the path is too long")
	}
	segment := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if !plain(path[i]) {
				return "", "", problem.New(problem.NotCanonical, "the path may have letters, digits and - . _ ~ between slashes, and nothing else")
			}
			continue
		}
		switch path[segment:i] {
		case "":
			if i != len(path) { // the route table decides about a trailing slash
				return "", "", problem.New(problem.NotCanonical, "the path has an empty segment")
			}
		case ".", "..":
			return "", "", problem.New(problem.NotCanonical, "the path has a dot segment")
		}
		segment = i + 1
	}
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return "", "", problem.New(problem.NotCanonical, "the query has a character that must be percent-encoded")
		}
	}
	return path, query, nil
}

// plain reports whether c is unreserved (RFC 3986, section 2.3): never percent-encoded, and no delimiter.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
