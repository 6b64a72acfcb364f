package main

import (
	"fmt"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// effect is what an edit does to a key file.
type effect struct{ was, is *keystore.Snapshot }

// of returns the edit that do is, which notes what it does to the file at path.
func (e *effect) of(path string, do edit.Func) edit.Func {
	return func(data []byte) ([]byte, error) {
		next, err := do(data)
		if err == nil {
			e.was, _ = edit.Parse(path, data) // both were read before
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
