package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// probe is a request that no gate may let through: it has no valid key, or asks for what is not exposed.
// It does nothing where one does: it names a chatflow that there is not, or only reads. The chatflow is
// left out of predictions alone, which Flowise refuses then (412); for others that Flowise 2.2.8 would
// run on the first chatflow that it has (vector/upsert, internal-prediction) it never is.
type probe struct {
	name string
	// raw is the request up to Host, which is added: a request line and headers.
	raw string
	// body follows the headers as it is.
	body string
}

// nobody stands in probes for a chatflow that there is not.
const nobody = "NOBODY"

// hiddenHost is the host of a request in the body of another.
const hiddenHost = "flowlatch-doctor-hidden"

// probes returns what is fired at a gate. prefix goes before every path.
func (t *target) probes(prefix, chatflow string) (list []probe) {
	add := func(name, line, headers, body string) {
		expand := strings.NewReplacer(nobody, chatflow)
		list = append(list, probe{name: expand.Replace(name), raw: expand.Replace(line) + " HTTP/1.1\r\n" + headers, body: expand.Replace(body)})
	}
	const (
		jsonBody = `{"question":"flowlatch doctor"}`
		wrongKey = "Authorization: Bearer flowlatch-doctor-has-no-key\r\n"
	)
	question := fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(jsonBody))
	call := prefix + t.call()
	hiddenRequest := "GET " + prefix + t.secret + " HTTP/1.1\r\nHost: " + hiddenHost + "\r\n\r\n"
	for _, headers := range []string{"", wrongKey, "Authorization: flowlatch-doctor-has-no-key\r\n", "Authorization: Basic YWRtaW46YWRtaW4=\r\n", t.insider} {
		name := "POST " + call
		if headers != "" {
			name += " with " + strings.TrimSpace(headers)
		}
		add(name, "POST "+call, headers+question, jsonBody)
	}
	for _, p := range t.odd() {
		add("POST "+prefix+p, "POST "+prefix+p, question, jsonBody)
	}
	for _, target := range []string{"http://localhost" + call, "http:http://localhost" + call, "x:" + call, "localhost:80", "*"} {
		add("POST "+target, "POST "+target, question, jsonBody)
	}
	for _, method := range []string{"CONNECT", "TRACE", "OPTIONS", "post", "PROPFIND"} {
		add(method+" "+call, method+" "+call, "", "")
	}
	for _, p := range t.closed {
		for _, headers := range []string{"", t.insider} {
			name := "GET " + prefix + p
			if headers != "" {
				name += " with " + strings.TrimSpace(headers)
			}
			add(name, "GET "+prefix+p, headers, "")
		}
	}
	for _, headers := range []string{
		"X-Original-URL: " + t.secret + "\r\n", "X-Rewrite-URL: " + t.secret + "\r\n", "X-Forwarded-Uri: " + t.secret + "\r\n", "X-HTTP-Method-Override: GET\r\n",
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", wrongKey + wrongKey,
	} {
		add("POST "+call+" with "+strings.ReplaceAll(strings.TrimSpace(headers), "\r\n", " and "), "POST "+call, headers+question, jsonBody)
	}
	for _, framing := range []string{
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", "Transfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n",
		"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n", "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
	} {
		add("a request hidden behind "+strings.ReplaceAll(strings.TrimSpace(framing), "\r\n", " and "), "POST "+call, framing, "0\r\n\r\n"+hiddenRequest)
	}
	return list
}

// reply is what came back to a probe.
type reply struct {
	status int
	code   string // of flowlatch's error answers
	text   string // the beginning of what it says
	// said is what it says in JSON, and express that it is an error of Express, on which Flowise and n8n run.
	said    map[string]any
	express bool
}

// verdict is what a reply means.
type verdict uint8

const (
	refused verdict = iota // by the gate
	before                 // by an HTTP server that did not understand it
	odd                    // by something that is not the gate and may not be the runner
	through                // let through
)

func (r reply) verdict(t *target) verdict {
	switch {
	case r.code == string(problem.UpstreamUnreachable) || r.code == string(problem.UpstreamTimeout):
		return through // it tried
	case r.code != "":
		return refused
	case r.express || t.spoke(r.said) || r.status >= 200 && r.status < 300 || r.status == http.StatusSwitchingProtocols:
		return through
	}
	switch r.status {
	case 0, http.StatusBadRequest, http.StatusRequestURITooLong, http.StatusExpectationFailed, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return before
	}
	if r.status >= 500 {
		return through
	}
	return odd
}

// String is the reply in a few words.
func (r reply) String() string {
	if r.status == 0 {
		return r.text
	}
	if r.code != "" {
		return fmt.Sprintf("%d %s", r.status, r.code)
	}
	return fmt.Sprintf("%d %q", r.status, r.text)
}

// probeTime is how long a probe may take.
const probeTime = 5 * time.Second

// secondReply is how long after a reply another one is waited for.
const secondReply = 500 * time.Millisecond

// fire sends a probe to the host of base and returns all replies to it: a hidden request has one of its
// own. An error means that the gate cannot be reached.
func fire(base *url.URL, p probe) (replies []reply, err error) { return fireAs(nil, base, p) }

// fireAs is fire by a caller with certificates, for a gate that asks for one.
func fireAs(own []tls.Certificate, base *url.URL, p probe) (replies []reply, err error) {
	conn, err := dialURL(base, own)
	if err != nil {
		return nil, certificateError(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(probeTime))
	head := p.raw + "Host: " + base.Host + "\r\n"
	if !strings.Contains(strings.ToLower(head), "\nconnection:") && !strings.Contains(p.body, hiddenHost) {
		head += "Connection: close\r\n"
	}
	_, _ = io.WriteString(conn, head+"\r\n"+p.body) // a gate that has refused may be gone
	from := bufio.NewReader(conn)
	for len(replies) < 3 {
		res, err := http.ReadResponse(from, nil)
		if isTLSAlert(err) && len(replies) == 0 {
			return nil, certificateError(err)
		}
		if err != nil {
			break
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			replies = append(replies, readReply(res))
			_ = conn.SetReadDeadline(time.Now().Add(secondReply))
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	if len(replies) == 0 {
		replies = []reply{{text: "no answer, the connection was closed"}}
	}
	return replies, nil
}

// dialURL opens a connection to the host of a URL. The certificate of an https one is not checked: what is
// asked is what the gate does, not who it is.
func dialURL(base *url.URL, own []tls.Certificate) (net.Conn, error) {
	host := base.Host
	if base.Port() == "" {
		host = net.JoinHostPort(base.Hostname(), map[string]string{"http": "80", "https": "443"}[base.Scheme])
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	if base.Scheme != "https" {
		return (&net.Dialer{}).DialContext(ctx, "tcp", host)
	}
	return (&tls.Dialer{Config: &tls.Config{
		ServerName: base.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12, Certificates: own,
		InsecureSkipVerify: true, //nolint:gosec // nothing secret is sent
	}}).DialContext(ctx, "tcp", host)
}

// isTLSAlert reports whether an error is what the other side of TLS has against this one. Of a certificate
// that is missing it is told only after the handshake.
func isTLSAlert(err error) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error"
}

// certificateError adds what to do where a gate does not take the caller's certificate.
func certificateError(err error) error {
	if isTLSAlert(err) {
		return fmt.Errorf("%w: it takes only callers with a certificate of an authority that it knows (--client-ca); name yours by --client-cert and --client-key", err)
	}
	return err
}

func readReply(res *http.Response) reply {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	r := reply{status: res.StatusCode, text: strings.ToValidUTF8(string(body[:min(len(body), 60)]), "")}
	if err != nil && len(body) == 0 && !errors.Is(err, io.EOF) {
		r.text = "the answer broke off"
	}
	if json.Unmarshal(body, &r.said) != nil {
		r.express = strings.Contains(string(body), "<pre>Cannot ")
		return r
	}
	kind, _ := r.said["type"].(string)
	if code, _ := r.said["code"].(string); strings.HasPrefix(kind, problem.Types) {
		r.code = code
	}
	return r
}
