package main

import (
	"fmt"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// effect has the content of a key file before and after an edit.
type effect struct{ was, is *keystore.Snapshot }

// of wraps do, an edit of the file at path, so that e has its effect afterwards.
func (e *effect) of(path string, do edit.Func) edit.Func {
	return func(data []byte) ([]byte, error) {
		next, err := do(data)
		if err == nil {
			e.was, _ = edit.Parse(path, data) // the edit has parsed both
			e.is, _ = edit.Parse(path, next)
		}
		return next, err
	}
}

// tellClosed says which chatflows the edit has closed.
func (e *effect) tellClosed(s streams) {
	var labels []string
	for _, id := range keystore.Compare(e.was, e.is).ChatflowsRemoved {
		labels = append(labels, e.was.Entry(id).Label())
	}
	if labels != nil {
		fmt.Fprintf(s.err, "closed, as no other key opens them: %s\n", few(labels))
	}
}
