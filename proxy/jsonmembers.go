package proxy

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// plainJSON matches the Content-Type of bodies that are checked. It is compared as it is written: from parameters
// that occur twice, are malformed or follow RFC 2231, an upstream's library may read another charset than Go's.
var plainJSON = regexp.MustCompile(`^(?i:application/json[ \t]*(;[ \t]*charset=(utf-8|"utf-8"))?)$`)

// isPlainJSON reports whether headers announce JSON in UTF-8 that is not compressed. Flowise would also inflate a body
// and decode UTF-7 and UTF-16 (body-parser, iconv-lite).
func isPlainJSON(h http.Header) bool {
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

// chatflowMember returns the chatflow ID in the JSON object raw, and refuses members that could be mistaken for it:
// names are looked up with regard to case by JavaScript and without by others. It also refuses the members that the
// route refuses.
func chatflowMember(r *route.Route, raw []byte) (id string, refusal *problem.Error) {
	found := false
	refusal = eachMember(raw, func(name string, value jsontext.Value) *problem.Error {
		switch {
		case name == r.Body && found:
			return problem.New(problem.BadChatflowID, "the body names the chatflow twice")
		case name == r.Body:
			found = true
			if value.Kind() != '"' {
				return problem.New(problem.BadChatflowID, "the chatflow ID in the body is not a string")
			}
			text, err := jsontext.AppendUnquote(nil, value)
			id = string(text)
			if err != nil {
				return problem.New(problem.BadChatflowID, "the chatflow ID in the body is malformed")
			}
		case refuses(r, name):
			return memberRefused
		case bareName(name) == bareName(r.Body), name == protoMember:
			return problem.New(problem.BadChatflowID, "the body has a member whose name could be mistaken for the chatflow's")
		}
		return nil
	})
	switch {
	case refusal != nil:
		return "", refusal
	case !found:
		return "", problem.New(problem.BadChatflowID, "the body does not name a chatflow")
	case !r.AcceptsID(id):
		return "", problem.New(problem.BadChatflowID, "the chatflow ID in the body is malformed")
	}
	return id, nil
}

// refusedMember refuses a JSON object with a member that the route refuses. Without any such member, nothing is looked at.
func refusedMember(r *route.Route, raw []byte) *problem.Error {
	if len(r.Refuse) == 0 {
		return nil
	}
	return eachMember(raw, func(name string, _ jsontext.Value) *problem.Error {
		if name == protoMember || refuses(r, name) {
			return memberRefused
		}
		return nil
	})
}

func refuses(r *route.Route, name string) bool {
	return slices.ContainsFunc(r.Refuse, func(refused string) bool { return bareName(name) == bareName(refused) })
}

var memberRefused = problem.New(problem.BadRequest, "the body has a member that clients may not set")

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
