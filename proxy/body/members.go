package body

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// plainJSON matches the Content-Type of bodies that are checked. The header is matched as written, not parsed: if
// parameters occur twice, are malformed or follow RFC 2231, the upstream's library may read another charset than Go's
// does.
var plainJSON = regexp.MustCompile(`^(?i:application/json[ \t]*(;[ \t]*charset=(utf-8|"utf-8"))?)$`)

// IsJSON reports whether the request's headers announce uncompressed JSON in UTF-8. Flowise would also decompress a body,
// and decode UTF-7 and UTF-16 (body-parser, iconv-lite).
func (b *Reader) IsJSON() bool {
	h := b.request.Header
	if enc := h["Content-Encoding"]; len(enc) > 1 || len(enc) == 1 && !strings.EqualFold(enc[0], "identity") {
		return false
	}
	types := h["Content-Type"]
	return len(types) == 1 && plainJSON.MatchString(types[0])
}

// eachMember calls do with each member of the JSON object in raw, until do refuses one. It refuses anything but one
// object. A name that occurs twice, also in an inner object, is refused because two readers could take different values;
// do is asked first, without the value. It reads tokens, because decoding into fields would ignore the case of names.
func eachMember(raw []byte, do func(name string, value jsontext.Value) *problem.Error) *problem.Error {
	malformed := problem.New(problem.BadRequest, "the body is not one JSON object in UTF-8 in which each name occurs once")
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if open, err := d.ReadToken(); err != nil || open.Kind() != '{' {
		return malformed
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		var fault *jsontext.SyntacticError
		if errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &fault) {
			return cmp.Or(do(fault.JSONPointer.LastToken(), nil), malformed)
		}
		if err != nil {
			return malformed
		}
		name := token.String() // the token is valid until the next one is read
		value, err := d.ReadValue()
		if err != nil {
			return malformed
		}
		if refusal := do(name, value); refusal != nil {
			return refusal
		}
	}
	if _, err := d.ReadToken(); err != nil { // the closing brace
		return malformed
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return malformed
	}
	return nil
}

// Text returns the string at the end of a path of names in a JSON object: a member, then a member within it, and so on.
// It reports whether there is a value that is not null; for a value that is not a string, the text is empty.
func Text(raw []byte, names ...string) (text string, found bool) {
	refusal := eachMember(raw, func(name string, value jsontext.Value) *problem.Error {
		switch {
		case name != names[0]:
		case len(names) > 1:
			text, found = Text(value, names[1:]...)
		case value.Kind() != 'n':
			unquoted, _ := jsontext.AppendUnquote(nil, value) // on anything but a string, it fails and appends nothing
			text, found = string(unquoted), true
		}
		return nil
	})
	if refusal != nil {
		return "", false
	}
	return text, found
}

// protoMember is a member that JavaScript treats in its own way: if it is assigned to an object, its own members count as
// the object's.
const protoMember = "__proto__"

// bareName returns the letters and digits of a name, each replaced by the first of those that differ from it only by
// case.
func bareName(name string) string {
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
