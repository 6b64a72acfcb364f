//go:build e2e

package differential

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

func (m *message) chunks(r *rand.Rand, b []byte) []byte {
	half := len(b) / 2
	size := pick(r, "%x", "%X", "0%x", "%x;ext=1", "%x ", "%x;"+strings.Repeat("e", 50))
	trailer := pick(r, "", "", "", "X-Request-From: internal\r\n", "Authorization: Bearer "+m.world.Secrets[keyOps]+"\r\n", "X-Forwarded-For: "+Planted+"\r\n", "X: y\r\n")
	return fmt.Appendf(nil, size+"\r\n%s\r\n"+size+"\r\n%s\r\n0\r\n"+trailer+"\r\n", half, b[:half], len(b)-half, b[half:])
}

func framing(r *rand.Rand, m *message) {
	m.odd = true
	n := len(m.wire()) - bytes.Index(m.wire(), []byte("\r\n\r\n")) - 4
	length := fmt.Sprintf("Content-Length: %d\r\n", n)
	m.framed = true
	switch r.IntN(8) {
	case 0, 1: // chunked, properly or nearly
		m.framing = pick(r, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "transfer-encoding: CHUNKED", "Transfer-Encoding: chunked\r\nTrailer: X-Request-From", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked ",
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: xchunked", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
			"Transfer-Encoding : chunked", "Transfer_Encoding: chunked", "Transfer-Encoding: \x0bchunked", "X: y\r\n Transfer-Encoding: chunked", "Transfer-Encoding: \"chunked\"") + "\r\n"
		m.frame = func(b []byte) []byte { return m.chunks(r, b) }
	case 2: // both
		m.framing = pick(r, length+"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n"+length, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", length+"Transfer-Encoding: identity\r\n", length+"Transfer_Encoding: chunked\r\n",
			length+"Transfer-Encoding:\r\n", length+"Transfer-Encoding: chunked, x\r\n", length+"Transfer-Encoding\t: chunked\r\n", length+"X: y\nTransfer-Encoding: chunked\r\n")
		if r.IntN(2) == 0 {
			m.frame = func(b []byte) []byte { return m.chunks(r, b) }
		}
		if r.IntN(2) == 0 {
			m.tail = m.second(m.token)
		}
	case 3: // a length that is none, or two
		m.framing = pick(r, length+length, length+"Content-Length: 0\r\n", "Content-Length: 0\r\n"+length, fmt.Sprintf("Content-Length: %d, %d\r\n", n, n), fmt.Sprintf("Content-Length: %d, 0\r\n", n), fmt.Sprintf("Content-Length: +%d\r\n", n),
			fmt.Sprintf("Content-Length: 0x%x\r\n", n), "Content-Length: -1\r\n", fmt.Sprintf("Content-Length: 0%d\r\n", n), fmt.Sprintf("Content-Length: %d.0\r\n", n), "Content-Length:\r\n", fmt.Sprintf("Content-Length : %d\r\n", n),
			fmt.Sprintf("Content-Length: %d \r\n", n), fmt.Sprintf("Content_Length: %d\r\n", n), "Content-Length: 18446744073709551616\r\n", fmt.Sprintf("Content-Length:\r\n %d\r\n", n), fmt.Sprintf("Content-Length: %d\x00\r\n", n), "")
	case 4: // a length that does not fit
		m.framing = fmt.Sprintf("Content-Length: %d\r\n", max(0, n+pick(r, -1, 1, 5, -n, -n/2, 100)))
	case 5: // chunks that are none
		m.framing = "Transfer-Encoding: chunked\r\n"
		bad := pick(r, "0x%x\r\n%s\r\n0\r\n\r\n", "-%x\r\n%s\r\n0\r\n\r\n", "%x\n%s\n0\n\n", "%x\r%s\r0\r\r", "%x\r\n%sXX0\r\n\r\n", "%x;\n\r\n%s\r\n0\r\n\r\n", "f%x\r\n%s\r\n0\r\n\r\n", "%x\r\n%s\r\n0\r\nX: y", "00000000000000000%x\r\n%s\r\n0\r\n\r\n", " %x\r\n%s\r\n0\r\n\r\n", "%x\r\n%s\r\n0\n\r\n", "%x;a=\"\r\n%s\r\n0\r\n\r\n")
		m.frame = func(b []byte) []byte { return fmt.Appendf(nil, bad, len(b), b) }
	case 6: // line ends and folds
		m.framed = false
		m.reline = func(head string) string {
			switch r.IntN(6) {
			case 0:
				return strings.ReplaceAll(head, "\r\n", "\n")
			case 1:
				return strings.Replace(head, "\r\n", "\n", 1+r.IntN(3))
			case 2:
				return strings.Replace(head, "X-Nonce: ", "X-Fold: a\r\n b\r\nX-Nonce: ", 1)
			case 3:
				return strings.Replace(head, "X-Nonce: ", "X-Nonce:\r\n ", 1)
			case 4:
				return strings.Replace(head, "\r\n", "\r", 1)
			default:
				return strings.Replace(head, "\r\nX-Nonce", "\r\n\tAuthorization: Bearer "+m.world.Secrets[keyOps]+"\r\nX-Nonce", 1)
			}
		}
	default: // lines that are no headers
		m.framed = false
		m.lines = append(m.lines, pick(r, "no colon", ": no name", "Sp ace: x", "X-Nul: \x00", "X-Cr: a\rb", "Authorization : Bearer "+m.world.Secrets[keyOps], "\tX: y", "X\u00e9: y", "X-Long: "+strings.Repeat("x", 20<<10), "(x): y", "X-Del: \x7f", "Host: a\r\nHost: b", "Host: a/b", "Host:", "Host: a@b", "X-Lf: a\nX-Request-From: internal"))
	}
}

func requestLines(r *rand.Rand, m *message) {
	m.odd = true
	m.proto = pick(r, "HTTP/1.0", "HTTP/1.1 ", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1\t", "", "HTTP/01.1", "HTTP/1.1\x00", "FTP/1.1", "HTTP/1.1 HTTP/1.1", "HTTP/11", " HTTP/1.1", "\tHTTP/1.1", "HTTP/1.1\r", "HTTP/3")
}

// secondRequests puts another request where a careless reader might find one.
func secondRequests(r *rand.Rand, m *message) {
	m.odd = true
	token := pick(r, m.token, "", m.world.Secrets[keyA])
	second := m.second(token)
	switch r.IntN(4) {
	case 0: // after the first, as a client may do
		m.tail = second
	case 1: // in the body, all of it
		m.members = []member{}
		m.setType(pick(r, jsonType, "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded"))
		m.encode = func([]byte) []byte { return []byte(second) }
	case 2: // behind the end of the chunks, with a length that covers it
		body := "0\r\n\r\n" + second
		m.members = []member{}
		m.encode = func([]byte) []byte { return []byte(body) }
		m.framed = true
		m.framing = fmt.Sprintf("Content-Length: %d\r\n", len(body)) + pick(r, "", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, identity\r\n", "Transfer_Encoding: chunked\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", "Transfer-Encoding\r\n : chunked\r\n")
	default: // on a method that has no body
		m.method = pick(r, "GET", "HEAD", "OPTIONS", "DELETE", "TRACE")
		m.members = []member{}
		m.encode = func([]byte) []byte { return []byte(second) }
	}
}
