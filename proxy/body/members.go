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

// plainJSON matches the Content-Type of bodies that are checked. It is compared as it is written: from parameters
// that occur twice, are malformed or follow RFC 2231, an upstream's library may read another charset than Go's.
var plainJSON = regexp.MustCompile(`^(?i:application/json[ \t]*(;[ \t]*charset=(utf-8|"utf-8"))?)$`)

// IsJSON reports whether the request's headers announce JSON in UTF-8 that is not compressed. Flowise would also inflate a
// body and decode UTF-7 and UTF-16 (body-parser, iconv-lite).
func (b *Reader) IsJSON() bool {
	h := b.request.Header
	if enc := h["Content-Encoding"]; len(enc) > 1 || len(enc) == 1 && !strings.EqualFold(enc[0], "identity") {
		return false
	}
	types := h["Content-Type"]
	return len(types) == 1 && plainJSON.MatchString(types[0])
}

// eachMember calls do with each member of the JSON object that raw must be, until do refuses one. A name that occurs
// twice, also in an inner object, is refused, because two readers could take two different values; do may refuse it
// first, and gets no value. eachMember reads tokens, since decoding into fields would take names that differ by case
// for the fields'.
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

// Text returns the text to which names lead in a JSON object: those of a member, and of members within it. It reports
// whether there is a value that is not null; the text of one that is none is empty.
func Text(raw []byte, names ...string) (text string, found bool) {
	refusal := eachMember(raw, func(name string, value jsontext.Value) *problem.Error {
		switch {
		case name != names[0]:
		case len(names) > 1:
			text, found = Text(value, names[1:]...)
		case value.Kind() != 'n':
			unquoted, _ := jsontext.AppendUnquote(nil, value) // an error for what is no text leaves nothing
			text, found = string(unquoted), true
		}
		return nil
	})
	if refusal != nil {
		return "", false
	}
	return text, found
}

// protoMember is a member that, assigned to an object in JavaScript, makes its own members count as the object's.
const protoMember = "__proto__"

// bareName returns the letters and digits of a name, each as the first of those that differ by case alone.
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
