package proxy

import (
	"net/http"
	"regexp"
	"strings"
)

// trace is the trace that a client's request belongs to (W3C Trace Context). The gate emits no spans, so it never
// makes a trace, and sends the client's on as it is. It is text that a client chose, and is logged: what is not exactly
// of the form counts as none.
type trace struct {
	parent string // the traceparent to send on; empty if there is none
}

// traceparent matches version, trace ID, parent ID and flags, and what versions after 00 may add.
var traceparent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)

// traceOf returns the trace of a request with these headers.
func traceOf(h http.Header) trace {
	values := h["Traceparent"]
	if len(values) != 1 {
		return trace{}
	}
	m := traceparent.FindStringSubmatch(values[0])
	switch {
	case m == nil, m[1] == "ff", m[2] == "00000000000000000000000000000000", m[3] == "0000000000000000", m[1] == "00" && m[5] != "":
		return trace{}
	case m[1] == "00":
		return trace{values[0]}
	}
	// Of an unknown version only these fields can be relied on, and of its flags whether the trace is sampled; they are
	// sent on as version 00 would ("Versioning of traceparent").
	flags := "00"
	if strings.ContainsAny(m[4][1:], "13579bdf") {
		flags = "01"
	}
	return trace{"00-" + m[2] + "-" + m[3] + "-" + flags}
}

// id is the trace's ID, and span that of the client's span; there must be a trace.
func (t trace) id() string   { return t.parent[3:35] }
func (t trace) span() string { return t.parent[36:52] }

// maxTracestate is how much of a tracestate is passed on, in bytes: as much as the standard asks every hop to pass.
const maxTracestate = 512

// pass puts the trace into the headers of the request to the upstream, in place of what the client sent. The tracestate
// is for vendors to read; it only has to be printable and short.
func (t trace) pass(in, out http.Header) {
	if t.parent == "" {
		return // there is nothing that a tracestate could be the state of
	}
	out["Traceparent"] = []string{t.parent}
	state := strings.Join(in["Tracestate"], ",")
	if state != "" && len(state) <= maxTracestate && !strings.ContainsFunc(state, func(r rune) bool { return r < ' ' || r > '~' }) {
		out["Tracestate"] = in["Tracestate"]
	}
}
