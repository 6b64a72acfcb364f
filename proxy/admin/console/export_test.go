package console

import (
	"cmp"
	"fmt"
)

// Operations returns all operations of the API.
func Operations() []*operation { return operations }

// Status returns the status of an operation that succeeds.
func (op *operation) Status() string { return fmt.Sprint(cmp.Or(op.status, 200)) }

// StatusOf returns the status of a problem's code.
func StatusOf(code string) int { return kinds[code].status }

// Codes returns the codes of problems, with their status.
func Codes() map[string]string {
	codes := map[string]string{}
	for code, k := range kinds {
		codes[code] = fmt.Sprint(k.status)
	}
	return codes
}

// WhyUnwritten says on a page why a key file cannot be written.
var WhyUnwritten = whyUnwritten
