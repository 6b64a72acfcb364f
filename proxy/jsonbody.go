package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
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
func eachMember(raw []byte, do func(name string, value json.RawMessage) *Error) *Error {
	malformed := badRequest("the body is not one JSON object in UTF-8")
	if !utf8.Valid(raw) {
		return malformed
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return malformed
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return malformed
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return malformed
		}
		if err := do(name, value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed
	}
	return nil
}

// looksLike reports whether a and b are the same but for case and for characters other than letters
// and digits.
func looksLike(a, b string) bool {
	bare := func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return r
	}
	return strings.EqualFold(strings.Map(bare, a), strings.Map(bare, b))
}
