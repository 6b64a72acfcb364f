package proxy

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bodies that must be understood before they are forwarded are taken for nothing but one JSON object, in
// the one form that every reader understands alike.

// plainJSON matches what a body may say to be. It is compared as it is spelled: of parameters written by
// RFC 2231, twice, or not well, the runner's library takes another charset than Go's.
var plainJSON = regexp.MustCompile(`^(?i:application/json[ \t]*(;[ \t]*charset=(utf-8|"utf-8"))?)$`)

// isPlainJSON reports whether a request's body says to be JSON in UTF-8, not compressed. Flowise would
// also inflate a body, and decode UTF-7 and UTF-16 (body-parser, iconv-lite).
func isPlainJSON(h http.Header) bool {
	if enc := h.Values("Content-Encoding"); len(enc) > 1 || len(enc) == 1 && !strings.EqualFold(enc[0], "identity") {
		return false
	}
	types := h.Values("Content-Type")
	return len(types) == 1 && plainJSON.MatchString(types[0])
}

// eachMember calls do with the name and value of each member of the JSON object in raw, until do
// returns an error. It reads by tokens: a decoder into fields would take other names for the fields'.
// The values are pieces of raw.
func eachMember(raw []byte, do func(name string, value []byte) *Error) *Error {
	malformed := badRequest("the body is not one JSON object in UTF-8")
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return malformed
	}
	// What follows relies on that it is valid.
	at := skipSpace(raw, 0)
	if raw[at] != '{' {
		return malformed
	}
	for at = skipSpace(raw, at+1); raw[at] != '}'; {
		end := skipValue(raw, at)
		var name string
		if json.Unmarshal(raw[at:end], &name) != nil {
			return malformed
		}
		begin := skipSpace(raw, skipSpace(raw, end)+1) // past the colon
		end = skipValue(raw, begin)
		if err := do(name, raw[begin:end]); err != nil {
			return err
		}
		if at = skipSpace(raw, end); raw[at] == ',' {
			at = skipSpace(raw, at+1)
		}
	}
	return nil
}

func skipSpace(raw []byte, at int) int {
	for at < len(raw) && (raw[at] == ' ' || raw[at] == '\t' || raw[at] == '\n' || raw[at] == '\r') {
		at++
	}
	return at
}

// skipValue returns where the value that begins at at ends, in valid JSON.
func skipValue(raw []byte, at int) int {
	depth := 0
	for ; at < len(raw); at++ {
		switch raw[at] {
		case '"':
			for at++; raw[at] != '"'; at++ {
				if raw[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return at // of what the value, a number or a word, is in
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return at
			}
			continue
		case ':':
			continue
		default:
			continue // a number, a word
		}
		if depth == 0 {
			return at + 1
		}
	}
	return at
}

// looksLike reports whether a and b are the same but for case and for characters other than letters
// and digits.
func looksLike(a, b string) bool { return bare(a) == bare(b) }

// bare returns the letters and digits of a name, each as the first of those that differ by case alone.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
