package edit

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// word returns an ID, a digest or a time as it is written in the file: in YAML it gets quotes only if it would not be
// text without them.
func (e *editor) word(s string) string {
	if e.json || strings.ContainsAny(s[:1], "*@~.-_") || strings.EqualFold(s, "null") {
		return e.text(s)
	}
	return s
}

// text returns any text as it is written in the file. For printable text, YAML and Go have the same form in double
// quotes.
func (e *editor) text(s string) string {
	if !e.json {
		return strconv.Quote(s)
	}
	quoted, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		e.fail("%q is not UTF-8", s)
	}
	return string(quoted)
}

// field returns a field as it is written in the file. value has that form already.
func (e *editor) field(name, value string) string {
	if e.json {
		name = strconv.Quote(name)
	}
	return name + ": " + value
}

// list returns a list of words.
func (e *editor) list(words []string) string {
	var written []string
	for _, w := range words {
		written = append(written, e.word(w))
	}
	return "[" + strings.Join(written, ", ") + "]"
}
