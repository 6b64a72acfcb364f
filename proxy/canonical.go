package proxy

import "strings"

// maxPath is the longest path accepted, in bytes. The longest of any preset has under 200.
const maxPath = 1024

// canonical splits a request target into its path and its query if the path is spelled in the one
// way that is accepted, and refuses it otherwise. It never repairs anything.
//
// It reads the bytes of the request line, not the path as a library decoded it, because runners
// decode again: Flowise takes a path through decodeURI, sanitize-html and Express's decoding of
// parameters (packages/server/src/utils/XSS.ts at 2.2.8 and 3.1.4), so that percent-encoding,
// markup and entities in a path all lead to the same controller. What is left for a path here are
// letters, digits, - . _ ~ between single slashes, in which none of those has anything to do.
func canonical(target string) (path, query string, err *Error) {
	path, query, _ = strings.Cut(target, "?")
	switch {
	case path == "" || path[0] != '/':
		return "", "", notCanonical("the request target must be a path, beginning with /")
	case len(path) > maxPath:
		return "", "", notCanonical("the path is too long")
	}
	segment := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if !plain(path[i]) {
				return "", "", notCanonical("the path may have letters, digits and - . _ ~ between slashes, and nothing else")
			}
			continue
		}
		switch path[segment:i] {
		case "":
			if i != len(path) { // a slash at the end is left to the route table, which may list it
				return "", "", notCanonical("the path has an empty segment")
			}
		case ".", "..":
			return "", "", notCanonical("the path has a dot segment")
		}
		segment = i + 1
	}
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return "", "", notCanonical("the query has a character that must be percent-encoded")
		}
	}
	return path, query, nil
}

// plain reports whether c is unreserved in the sense of RFC 3986 section 2.3: never encoded, and
// nobody's delimiter.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func notCanonical(detail string) *Error {
	return &Error{Code: CodeNotCanonical, Detail: detail}
}
