package flowise

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Names in Flowise may have been written by anybody. They go into a YAML file and its comments, to a terminal, and from
// the file into logs and metrics.

// maxName is the most characters of a name that are kept.
const maxName = 64

// printable returns s on one line: unprintable characters count as spaces, several spaces become one, and a text that is
// too long is cut.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) <= maxName {
		return string(runes)
	}
	return strings.TrimRight(string(runes[:maxName]), " ") + "…"
}

// quoted returns the printable form of s in quotes. That is a scalar of YAML too: in printable text, only quotes and
// backslashes are escaped.
func quoted(s string) string { return strconv.Quote(printable(s)) }

var notInKeyID = regexp.MustCompile(`[^A-Za-z0-9._@-]+`)

// keyID turns a name into a similar key ID that needs no quotes in YAML.
func keyID(name string) string {
	id := notInKeyID.ReplaceAllString(name, "-")
	id = id[:min(len(id), maxName)]
	id = strings.Trim(id, "._@-")
	if id == "" || strings.EqualFold(id, "null") {
		return "key"
	}
	return id
}

// taken counts how often each name was used.
type taken map[string]int

// name returns base if it is free. Otherwise it returns the first free name made of base and a number, in a form such as
// "%s (%d)".
func (t taken) name(base, form string) string {
	s := base
	for t[s] > 0 {
		t[base]++
		s = fmt.Sprintf(form, base, t[base])
	}
	t[s] = 1
	return s
}
