//go:build bench

package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/flowlatch/flowlatch/keystore"
)

// perChatflow is how many keys a chatflow has, where there are as many.
const perChatflow = 100

// tokenLen is the length of a secret made by [keystore.Generate].
const tokenLen = 41

// fixture is the keys of all measurements. The first n of them and their chatflows are a key file of
// its own, so a small file is part of every larger one.
type fixture struct{ tokens []byte } // one after the other, to keep the collector out of them

func newFixture(n int) *fixture {
	f := &fixture{tokens: make([]byte, n*tokenLen)}
	var wg sync.WaitGroup
	workers := runtime.NumCPU()
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				copy(f.tokens[i*tokenLen:], keystore.Generate())
			}
		})
	}
	wg.Wait()
	return f
}

// token returns the secret of key i.
func (f *fixture) token(i int) []byte { return f.tokens[i*tokenLen : (i+1)*tokenLen] }

// chatflowOf returns the chatflow of key i.
func chatflowOf(i int) string {
	return fmt.Sprintf("%08x-1111-4222-8333-444455556666", i/perChatflow)
}

// write writes the key file of the first n keys. extra is one more key of the first chatflow, by ID
// and secret, if the ID is not empty.
func (f *fixture) write(to io.Writer, n int, extra, secret string) error {
	w := bufio.NewWriterSize(to, 1<<20)
	fmt.Fprint(w, "version: 1\nkeys:\n")
	for i := range n {
		sum := sha256.Sum256(f.token(i))
		fmt.Fprintf(w, "  - id: customer-%07d\n    sha256: %s\n", i, hex.EncodeToString(sum[:]))
	}
	if extra != "" {
		fmt.Fprintf(w, "  - id: %s\n    sha256: %s\n", extra, keystore.DigestOf(secret))
	}
	fmt.Fprint(w, "chatflows:\n")
	for first := 0; first < n; first += perChatflow {
		fmt.Fprintf(w, "  - id: %s\n    keys: [customer-%07d", chatflowOf(first), first)
		for i := first + 1; i < min(first+perChatflow, n); i++ {
			fmt.Fprintf(w, ", customer-%07d", i)
		}
		if extra != "" && first == 0 {
			fmt.Fprintf(w, ", %s", extra)
		}
		fmt.Fprint(w, "]\n")
	}
	return w.Flush()
}

// writeFile is write to a file, which it makes or truncates.
func (f *fixture) writeFile(path string, n int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := f.write(file, n, "", ""); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
