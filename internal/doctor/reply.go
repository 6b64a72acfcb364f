package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// reply is what came back to a probe.
type reply struct {
	status  int            // zero if the connection was closed without a response
	code    string         // of flowlatch's errors
	text    string         // the beginning of the body, or why there is no response
	json    map[string]any // the body, if it is a JSON object
	express bool           // an error of Express, on which Flowise and n8n run

	requestID string // of flowlatch's errors
	location  string // of a redirect
	timedOut  bool   // it did not arrive within probeTimeout, or not completely
	notTLS    bool   // there is no response, because the server does not speak TLS
}

func readReply(res *http.Response) reply {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	r := reply{
		status: res.StatusCode, location: res.Header.Get("Location"), text: strings.ToValidUTF8(string(body[:min(len(body), 60)]), ""),
		timedOut: errors.Is(err, os.ErrDeadlineExceeded),
	}
	if err != nil && len(body) == 0 && !errors.Is(err, io.EOF) {
		r.text = "the response broke off"
	}
	if json.Unmarshal(body, &r.json) != nil {
		r.express = strings.Contains(string(body), "<pre>Cannot ")
		return r
	}
	kind, _ := r.json["type"].(string)
	if code, _ := r.json["code"].(string); strings.HasPrefix(kind, problem.Types) {
		r.code = code
		r.requestID, _ = r.json["request_id"].(string)
	}
	return r
}

// String returns the reply in a few words.
func (r reply) String() string {
	switch {
	case r.status == 0:
		return r.text
	case r.code != "":
		return fmt.Sprintf("%d %s", r.status, r.code)
	}
	return fmt.Sprintf("%d %q", r.status, r.text)
}

// verdict is what a reply means.
type verdict uint8

// The verdicts, the worst last.
const (
	refused       verdict = iota // by the gate
	notUnderstood                // by an HTTP server, not necessarily the gate's
	other                        // answered by something that is not the gate and may not be the upstream
	through                      // let through
)

// judge says what a reply means.
func (t *target) judge(r reply) verdict {
	switch {
	case r.code == string(problem.UpstreamUnreachable) || r.code == string(problem.UpstreamTimeout):
		return through // the gate tried
	case r.code != "":
		return refused
	case r.express || t.isError(r.json) || r.status >= 200 && r.status < 300 || r.status == http.StatusSwitchingProtocols:
		return through
	}
	switch r.status {
	case 0, http.StatusBadRequest, http.StatusRequestURITooLong, http.StatusExpectationFailed, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return notUnderstood
	}
	if r.status >= 500 {
		return through
	}
	return other
}
