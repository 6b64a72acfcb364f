package header

import (
	"net/http"
	"regexp"
	"strings"
)

// Trace is the traceparent of a client's request (W3C Trace Context), in the form in which it is sent on, or empty. The
// gate emits no spans, so it never starts a trace. The text is chosen by a client and gets logged, so one that does not
// have exactly the right form is ignored.
type Trace string

// traceparent matches version, trace ID, parent ID and flags, and whatever versions after 00 may add.
var traceparent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)

// TraceOf returns the trace of a request with these headers.
func TraceOf(h http.Header) Trace {
	values := h["Traceparent"]
	if len(values) != 1 {
		return ""
	}
	m := traceparent.FindStringSubmatch(values[0])
	switch {
	case m == nil, m[1] == "ff", m[2] == "00000000000000000000000000000000", m[3] == "0000000000000000", m[1] == "00" && m[5] != "":
		return ""
	case m[1] == "00":
		return Trace(values[0])
	}
	// Of an unknown version, only these fields can be relied on, and of its flags only whether the trace is sampled. They
	// are sent on in version 00 ("Versioning of traceparent").
	flags := "00"
	if strings.ContainsAny(m[4][1:], "13579bdf") {
		flags = "01"
	}
	return Trace("00-" + m[2] + "-" + m[3] + "-" + flags)
}

// IDs returns the IDs of the trace and of the client's span. t must not be empty.
func (t Trace) IDs() (trace, span string) { return string(t[3:35]), string(t[36:52]) }

// maxTracestate is the longest tracestate that is passed on, in bytes: as much as the standard asks every hop to pass.
const maxTracestate = 512

// Pass replaces the client's trace headers by t in the headers of the request to the upstream. The tracestate is for
// vendors to read, so it only has to be printable and short.
func (t Trace) Pass(in, out http.Header) {
	if t == "" {
		return // without a trace, a tracestate means nothing
	}
	out["Traceparent"] = []string{string(t)}
	state := strings.Join(in["Tracestate"], ",")
	if state != "" && len(state) <= maxTracestate && !strings.ContainsFunc(state, func(r rune) bool { return r < ' ' || r > '~' }) {
		out["Tracestate"] = in["Tracestate"]
	}
}
