//go:build bench

package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/flowlatch/flowlatch/keystore"
)

const (
	manyKeys = 10_000
	fewKeys  = 10

	// perChatflow is how many keys a chatflow has, where there are as many.
	perChatflow = 100

	// callers is how many of the keys are used in a load, one after the other.
	callers = 1000
)

// fixture is the keys of all measurements.
type fixture struct{ tokens []string }

func newFixture(n int) *fixture {
	f := &fixture{}
	for range n {
		f.tokens = append(f.tokens, keystore.Generate())
	}
	return f
}

// token returns the secret of key i.
func (f *fixture) token(i int) string { return f.tokens[i] }

// chatflowOf returns the chatflow of key i.
func chatflowOf(i int) string { return fmt.Sprintf("%08x-1111-4222-8333-444455556666", i/perChatflow) }

// request is a small POST with key i, and with more in its body.
func (f *fixture) request(i int, more string) string { return post(chatflowOf(i), f.token(i), more) }

func post(chatflow, token, more string) string {
	body := `{"question":"Hello?"` + more + `}`
	return fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		chatflow, token, len(body), body)
}

// honest returns requests with keys of those in force, of which there are count.
func (f *fixture) honest(count, n int, more string) (requests []string) {
	for i := range n {
		requests = append(requests, f.request(i*max(count/n, 1)%count, more))
	}
	return requests
}

// wrong returns requests with keys that look right and are not in force.
func (f *fixture) wrong(n int) (requests []string) {
	for i := range n {
		requests = append(requests, post(chatflowOf(i), keystore.Generate(), ","+wrongAsked))
	}
	return requests
}

// writeKeyFile writes flowlatch's key file with the first n keys.
func (f *fixture) writeKeyFile(path string, n int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	fmt.Fprint(w, "version: 1\nkeys:\n")
	for i := range n {
		fmt.Fprintf(w, "  - id: customer-%05d\n    sha256: %s\n", i, keystore.DigestOf(f.token(i)))
	}
	fmt.Fprint(w, "chatflows:\n")
	for first := 0; first < n; first += perChatflow {
		fmt.Fprintf(w, "  - id: %s\n    keys: [customer-%05d", chatflowOf(first), first)
		for i := first + 1; i < min(first+perChatflow, n); i++ {
			fmt.Fprintf(w, ", customer-%05d", i)
		}
		fmt.Fprint(w, "]\n")
	}
	return w.Flush()
}
