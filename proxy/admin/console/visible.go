package console

import (
	"fmt"
	"strings"
	"unicode"
)

// visible returns a text in which invisible characters, and those that reverse what follows, are shown as escapes:
// names and owners are free text, and one must not pass for another.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != ' ' && (!unicode.IsGraphic(r) || unicode.IsSpace(r) || fillers[r]) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// fillers are letters and marks that have no shape of their own.
var fillers = map[rune]bool{0x115f: true, 0x1160: true, 0x17b4: true, 0x17b5: true, 0x3164: true, 0xffa0: true}
