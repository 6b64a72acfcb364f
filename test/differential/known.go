//go:build e2e

package differential

import (
	"fmt"
	"strings"
)

// Known returns requests that a gate once handled wrongly: it authorised them for another chatflow than the upstream ran, or
// for none, or responded with something else. Their indexes begin with first.
func Known(w World, first int, word func(int) string) []Case {
	var cases []Case
	add := func(raw func(word string) string) {
		i := first + len(cases)
		cases = append(cases, Case{Index: i, Route: "known", Raw: []byte(raw(word(i))), Most: 1, Odd: true})
	}
	post := func(target, lines, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n%sContent-Length: %d\r\n\r\n%s", target, w.Secrets[keyA], lines, len(body), body)
	}
	lead := func(lines string) func(string) string {
		return func(word string) string {
			hidden := utf7(`","chatflowid":"` + w.B)
			return post(w.Prefix+"/api/v1/leads", "X-Nonce: "+word+"\r\n"+lines, fmt.Sprintf(`{"chatflowid":"%s","name":"%s","x":"%s"}`, w.A, word, hidden))
		}
	}
	predict := func(lines, body string) func(string) string {
		return func(word string) string {
			return post(w.Prefix+"/api/v1/prediction/"+w.A, "X-Nonce: "+word+"\r\n"+lines, body)
		}
	}
	// Go's mime takes the charset from an extended parameter (RFC 2231), Node's content-type from the plain one.
	add(lead("Content-Type: application/json; charset=utf-7; charset*=utf-8''utf-8\r\n"))
	add(lead("Content-Type: application/json; charset=utf-7; charset*0=utf-8\r\n"))
	// The upstream does not parse a body without a Content-Type, or with one that it cannot read.
	add(lead("Content-Type: application/json;\r\n"))
	add(lead("Content-Type: application/json\r\nConnection: Content-Type\r\n"))
	// Flowise 3.1.4 runs a webhook's controller for a preflight too.
	add(func(word string) string {
		return "OPTIONS " + w.Prefix + "/api/v1/webhook/" + w.A + " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Nonce: " + word + "\r\nOrigin: https://page.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"
	})
	// Two lengths for one request, and a second request where one of them ends (RFC 9112, section 6.1).
	add(func(word string) string {
		second := predict("Content-Type: application/json\r\n", "{}")(word)
		return predict("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+second)(word)
	})
	// The client closes its side in the middle of the body.
	add(func(word string) string {
		whole := predict("Content-Type: application/json\r\n", "{}")(word)
		return strings.Replace(whole, "Content-Length: 2\r\n", "Content-Length: 200\r\n", 1)
	})
	return cases
}
