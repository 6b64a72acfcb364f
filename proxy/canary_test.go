package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

// canaries numbers words that must not appear anywhere. They are longer than the path segments that are logged.
type canaries int

func (n *canaries) next() string {
	*n++
	return fmt.Sprintf("canary-%03d-of-a-client", *n)
}

// TestCanaries puts words into every place of a request and of an upstream's response that can hold one, odd ones
// included. It looks for them in the log, at its most verbose level and in both formats.
func TestCanaries(t *testing.T) {
	t.Parallel()
	formats := map[string]func(io.Writer) io.Writer{
		"json":    func(w io.Writer) io.Writer { return w },
		"console": func(w io.Writer) io.Writer { return zerolog.ConsoleWriter{Out: w, NoColor: true} },
	}
	for format, wrap := range formats {
		t.Run(format, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				log := &testkit.Buffer{}
				var n canaries
				responses := make(chan string, 100)
				s := serveGateWith(t, nil, time.Minute, func(o *proxy.Options) {
					change(o)
					o.Log = zerolog.New(wrap(log)).Level(zerolog.TraceLevel)
					o.Upstream = scriptedUpstream(t, responses)
				})
				key := bearerOf(secretA)
				sent := 0
				exchange := func(request string) {
					t.Helper()
					sent++
					_ = s.conversation(t, request)
				}
				for _, line := range oddHeaders(&n) {
					for _, authorization := range []string{key + "\r\n", ""} {
						responses <- "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
						exchange("POST /api/v1/prediction/" + botA + " HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n" + authorization + line + "\r\nContent-Length: 2\r\n\r\n{}")
						drainChannel(responses)
					}
				}
				for _, request := range oddRequests(&n, key) {
					responses <- "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
					exchange(request)
					drainChannel(responses)
				}
				for _, res := range oddResponses(&n) {
					responses <- res
					exchange("POST /api/v1/prediction/" + botA + " HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n" + key + "\r\nContent-Length: 2\r\n\r\n{}")
					drainChannel(responses)
				}
				s.stop()
				if err := <-s.ended; err != nil {
					t.Fatal(err)
				}
				text := log.String()
				if lines := strings.Count(text, "request_id"); lines < sent/2 {
					t.Errorf("%d lines of %d requests, want most of them to have one", lines, sent)
				}
				for line := range strings.Lines(text) {
					if low := strings.ToLower(line); strings.Contains(low, "canary") || strings.Contains(low, "y2fuyxj5") { // in Base64
						t.Errorf("log line %s, want no word of a client or an upstream in it", line)
					}
				}
				checkSecrets(t, map[string]string{"log": text})
			})
		})
	}
}

// oddHeaders returns header lines with words in them.
func oddHeaders(n *canaries) (lines []string) {
	for _, line := range []string{
		"Authorization: Bearer %s", "Authorization: Basic %s", "Authorization: %s", "Authorization: Bearer a %s", "Proxy-Authorization: Basic %s",
		"Cookie: %s=%s", "X-Api-Key: %s", "%s: x", "X-%s: %s", "X_%s: x", "User-Agent: %s", "Referer: http://%s/?%s", "Origin: https://%s", "From: %s",
		"Traceparent: %s", "Traceparent: " + traceparent + "-%s", "Traceparent: 00-%s", "Traceparent: " + traceparent + "\r\nTracestate: a=%s", "Tracestate: %s=b", "Baggage: a=%s", "B3: %s",
		"X-Request-Id: %s", "X-Forwarded-For: %s", "X-Forwarded-Host: %s", "Forwarded: for=%s", "X-Real-Ip: %s", "Via: 1.1 %s",
		"Content-Type: application/json; charset=%s", "Content-Type: multipart/form-data; boundary=%s", "Content-Encoding: %s", "Accept: %s/x", "Accept-Language: %s",
		"Expect: %s", "Te: %s", "Upgrade: %s", "Connection: %s", "Sec-Websocket-Protocol: %s", "Sec-Websocket-Key: %s", "If-None-Match: \"%s\"", "Range: %s", "Keep-Alive: %s",
		"Trailer: %s", "Transfer-Encoding: %s", "Content-Length: %s", "Host: %s", " folded-%s", "no-colon-%s", "a b-%s: x", "X-Bad: \x01%s",
	} {
		line = strings.ReplaceAll(line, "%s", "\x00")
		for strings.Contains(line, "\x00") {
			line = strings.Replace(line, "\x00", n.next(), 1)
		}
		lines = append(lines, line)
	}
	return lines
}

// oddRequests returns whole requests with words in their request lines, bodies and trailers.
func oddRequests(n *canaries, key string) (requests []string) {
	predict := "/api/v1/prediction/" + botA
	for _, line := range []string{
		"POST " + predict + "?%s=%s", "POST " + predict + "?%s", "POST " + predict + "#%s", "POST " + predict + "/%s", "POST " + predict + "/..;%s", "POST " + predict + "%%2f%s",
		"POST /api/v1/prediction/%s", "POST /%s", "POST /%s/%s/%s/%s", "POST /api/v1/verify/%s", "POST /a/b/c/%s", "POST //%s", "POST /%%zz%s", "POST %s",
		"POST http://%s:%s@gate" + predict, "POST http://%s" + predict, "POST https://gate" + predict + "?%s", "CONNECT %s:443", "OPTIONS *%s", "%s " + predict,
		"GET /api/v1/get-upload-file?chatflowId=" + botA + "&chatId=%s&fileName=%s", "GET /api/v1/get-upload-file?chatflowId=%s", "GET /api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=../%s",
		"GET /api/v1/node-icon/%s", "PUT /api/v1/chatmessage/abort/" + botA + "/%s", "POST /api/v1/webhook/" + botA + "?%s=%s",
	} {
		line = strings.ReplaceAll(strings.ReplaceAll(line, "%%", "\x01"), "%s", "\x00")
		for strings.Contains(line, "\x00") {
			line = strings.Replace(line, "\x00", n.next(), 1)
		}
		line = strings.ReplaceAll(line, "\x01", "%")
		for _, version := range []string{" HTTP/1.1", " HTTP/1.0", " HTTP/9.9", " " + n.next(), ""} {
			requests = append(requests, line+version+"\r\nHost: gate\r\nConnection: close\r\n"+key+"\r\n\r\n")
		}
	}
	post := func(target, headers, rest string) {
		requests = append(requests, "POST "+target+" HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n"+key+"\r\n"+headers+"\r\n\r\n"+rest)
	}
	chunked := "Transfer-Encoding: chunked"
	post(predict, chunked, "2;"+n.next()+"="+n.next()+"\r\n{}\r\n0\r\n\r\n")
	post(predict, chunked, "2\r\n{}\r\n0\r\n"+n.next()+": "+n.next()+"\r\n\r\n")
	post(predict, chunked+"\r\nTrailer: X-T", "2\r\n{}\r\n0\r\nX-T: "+n.next()+"\r\n\r\n")
	post(predict, chunked+"\r\nTrailer: X-T", "2\r\n{}\r\n0\r\nAuthorization: Bearer "+n.next()+"\r\n\r\n")
	post(predict, chunked, n.next()+"\r\n{}\r\n0\r\n\r\n")
	post(predict, chunked, "2\r\n{}"+n.next()+"\r\n0\r\n\r\n")
	post(predict, chunked, "2\r\n{}\r\n0\r\n"+n.next()+"\r\n\r\n")
	for _, target := range []string{predict, "/api/v1/leads", "/api/v1/feedback/" + botA, "/api/v1/text-to-speech/generate"} {
		for _, body := range []string{
			fmt.Sprintf(`{"question":%q,%q:1}`, n.next(), n.next()), fmt.Sprintf(`{"chatflowid":%q}`, n.next()), fmt.Sprintf(`{"chatflowid":%s}`, n.next()), n.next(), `{"` + n.next(),
			fmt.Sprintf(`{"chatflowid":%q,"chatflowid":%q}`, n.next(), n.next()), fmt.Sprintf(`{"chatflowId":%q,"id":%q}`, botA, n.next()),
		} {
			post(target, fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d", len(body)), body)
		}
	}
	return requests
}

// oddResponses returns responses of an upstream with words in them, most of them malformed.
func oddResponses(n *canaries) (responses []string) {
	for _, res := range []string{
		"HTTP/1.1 200 %s\r\n%s: %s\r\nSet-Cookie: %s=%s\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 500 %s\r\nContent-Length: 40\r\n\r\n%s", "HTTP/1.1 %s OK\r\n\r\n", "%s\r\n\r\n", "HTTP/%s 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\n%s\r\n\r\n", "HTTP/1.1 200 OK\r\n %s\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%s",
		"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n%s", "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n%s", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;%s\r\nok%s\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n%s: %s\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n%s\r\n\r\n",
		"HTTP/1.1 101 %s\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n%s", "HTTP/1.1 103 %s\r\nLink: <%s>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n%s", "HTTP/1.1 302 Found\r\nLocation: http://%s/%s\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 099 %s\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n%s\r\n\r\n",
	} {
		res = strings.ReplaceAll(res, "%s", "\x00")
		for strings.Contains(res, "\x00") {
			res = strings.Replace(res, "\x00", n.next(), 1)
		}
		responses = append(responses, res)
	}
	return responses
}

// scriptedUpstream sends the next response to each request unchanged, and closes the connection.
func scriptedUpstream(t *testing.T, responses <-chan string) *url.URL {
	t.Helper()
	return closingUpstream(t, func(c net.Conn) {
		if !readRequest(c) {
			return
		}
		select {
		case res := <-responses:
			_, _ = io.WriteString(c, res)
		default:
		}
	})
}

// drainChannel removes the response that a refused request left in the channel.
func drainChannel(responses <-chan string) {
	for {
		select {
		case <-responses:
		default:
			return
		}
	}
}
