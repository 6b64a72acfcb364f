//go:build bench

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// keysPerChatflow is how many keys a chatflow has, where there are as many.
const keysPerChatflow = 100

// fixture is the keys of a measurement. The first n of them and their chatflows are a key file of their own, so a small key file is part of every larger one.
type fixture struct{ tokens []string }

func newFixture(n int) *fixture {
	f := &fixture{tokens: make([]string, n)}
	for i := range f.tokens {
		f.tokens[i] = keystore.Generate()
	}
	return f
}

func keyID(i int) string { return fmt.Sprintf("customer-%07d", i) }

// chatflowOf returns the chatflow of key i.
func chatflowOf(i int) string {
	return fmt.Sprintf("%08x-1111-4222-8333-444455556666", i/keysPerChatflow)
}

// pathOf returns the path of predictions of that chatflow.
func pathOf(i int) string { return "/api/v1/prediction/" + chatflowOf(i) }

// post returns a prediction request. ask is what the upstream does; empty means a short response.
func post(chatflow, token, ask string) string {
	body := `{"question":"Hello?"}`
	if ask != "" {
		body = `{"question":"Hello?","ask":"` + ask + `"}`
	}
	return fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		chatflow, token, len(body), body)
}

// valid returns requests with n of the first count keys.
func (f *fixture) valid(count, n int, ask string) (requests []string) {
	for i := range n {
		k := i * max(count/n, 1) % count
		requests = append(requests, post(chatflowOf(k), f.tokens[k], ask))
	}
	return requests
}

// unknown returns requests with n keys of the right form that are in no key file.
func unknown(n int) (requests []string) {
	for i := range n {
		requests = append(requests, post(chatflowOf(i), keystore.Generate(), askRefused))
	}
	return requests
}

// usedUp returns requests for the last chatflow with each of its keys.
func (f *fixture) usedUp(ask string) (requests []string) {
	for k := manyKeys - keysPerChatflow; k < manyKeys; k++ {
		requests = append(requests, post(chatflowOf(k), f.tokens[k], ask))
	}
	return requests
}

// The parts of a key file that are used here.
type (
	keyFile struct {
		Version   int        `json:"version"`
		Keys      []key      `json:"keys"`
		Chatflows []chatflow `json:"chatflows"`
	}
	key struct {
		ID     string `json:"id"`
		SHA256 string `json:"sha256"`
		More   string `json:"-"` // in YAML
	}
	chatflow struct {
		ID   string   `json:"id"`
		Keys []string `json:"keys"`
		More string   `json:"-"` // in YAML
	}
)

// keyFile returns the key file of the first n keys, and more keys, which are of the first chatflow.
func (f *fixture) keyFile(n int, more ...key) keyFile {
	file := keyFile{Version: 1}
	for i := range n {
		if i%keysPerChatflow == 0 {
			file.Chatflows = append(file.Chatflows, chatflow{ID: chatflowOf(i)})
		}
		last := &file.Chatflows[len(file.Chatflows)-1]
		last.Keys = append(last.Keys, keyID(i))
		file.Keys = append(file.Keys, key{ID: keyID(i), SHA256: keystore.DigestOf(f.tokens[i]).String()})
	}
	for _, k := range more {
		file.Keys = append(file.Keys, k)
		file.Chatflows[0].Keys = append(file.Chatflows[0].Keys, k.ID)
	}
	return file
}

// wide are limits that no load reaches.
const wide = "requests: 1000000/1s, concurrent: 100000"

// limit limits all keys, chatflows and clients, so widely that nothing is refused, but for the last chatflow: it lets one request in.
func (k keyFile) limit() {
	for n := range k.Keys {
		k.Keys[n].More = "    limits: {" + wide + "}\n"
	}
	for n := range k.Chatflows {
		limits := wide
		if n == len(k.Chatflows)-1 {
			limits = "requests: 1/744h, concurrent: 100000"
		}
		k.Chatflows[n].More = "    limits: {" + limits + ", per_client: {" + wide + "}}\n"
	}
}

// write writes a key file, as JSON or YAML by the name's extension.
func (k keyFile) write(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if filepath.Ext(path) == ".json" {
		return json.NewEncoder(file).Encode(k)
	}
	w := bufio.NewWriter(file)
	fmt.Fprintf(w, "version: %d\nkeys:\n", k.Version)
	for _, k := range k.Keys {
		fmt.Fprintf(w, "  - id: %s\n    sha256: %s\n%s", k.ID, k.SHA256, k.More)
	}
	fmt.Fprint(w, "chatflows:\n")
	for _, c := range k.Chatflows {
		fmt.Fprintf(w, "  - id: %s\n    keys: [%s]\n%s", c.ID, strings.Join(c.Keys, ", "), c.More)
	}
	return w.Flush()
}
