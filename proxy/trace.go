package proxy

import (
	"net/http"
	"strings"
)

// trace is the trace that a caller's request belongs to, as W3C Trace Context has it. The gate emits no spans,
// so it is nobody's parent: it never makes a trace, and sends the caller's on as it is.
//
// It is text that a caller chose, and is logged: what is not exactly of the form is taken for none.
type trace struct {
	parent string // the traceparent to send on; empty if there is none
}

// The places of a traceparent's parts: version-traceid-parentid-flags.
const (
	traceIDAt  = 3
	spanIDAt   = 36
	flagsAt    = 53
	parentSize = 55
)

// traceOf returns the trace of a request with these headers.
func traceOf(h http.Header) trace {
	values := h["Traceparent"]
	if len(values) != 1 || !isTraceparent(values[0]) {
		return trace{}
	}
	parent := values[0]
	if parent[:2] != "00" {
		// Of a version that is not known, these fields alone may be relied on, and of its flags whether the
		// trace is sampled; they are told as the known one would ("Versioning of traceparent").
		sampled := "-00"
		if strings.IndexByte("13579bdf", parent[flagsAt+1]) >= 0 {
			sampled = "-01"
		}
		parent = "00" + parent[2:flagsAt-1] + sampled
	}
	return trace{parent}
}

// id is the trace's ID, and span that of the caller's span; not of a trace that is none.
func (t trace) id() string   { return t.parent[traceIDAt : spanIDAt-1] }
func (t trace) span() string { return t.parent[spanIDAt : flagsAt-1] }

// isTraceparent reports whether a header's value is one, of version 00 or one that begins like it.
func isTraceparent(s string) bool {
	if len(s) < parentSize || s[2] != '-' || s[spanIDAt-1] != '-' || s[flagsAt-1] != '-' {
		return false
	}
	version, id, span := s[:2], s[traceIDAt:spanIDAt-1], s[spanIDAt:flagsAt-1]
	switch {
	case !lowerHex(version) || !lowerHex(id) || !lowerHex(span) || !lowerHex(s[flagsAt:parentSize]):
		return false
	case version == "ff" || allZero(id) || allZero(span):
		return false
	}
	return len(s) == parentSize || version != "00" && s[parentSize] == '-'
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func allZero(s string) bool { return strings.Trim(s, "0") == "" }

// pass puts the trace into the head of the request to the runner, in place of what the caller sent. Without a
// traceparent there is nothing that a tracestate could be the state of.
func (t trace) pass(in, out http.Header) {
	if t.parent == "" {
		return
	}
	out["Traceparent"] = []string{t.parent}
	if state := in["Tracestate"]; isTracestate(state) {
		out["Tracestate"] = state
	}
}

// The limits of a tracestate. The standard has none for its length, but asks that 512 bytes pass.
const (
	maxStateMembers = 32
	maxStateSize    = 8 << 10
)

// isTracestate reports whether the headers of a name are one list of vendors' states.
func isTracestate(values []string) bool {
	members, size := 0, 0
	for _, v := range values {
		size += len(v)
		for more := true; more; {
			var member string
			member, v, more = strings.Cut(v, ",")
			if member = strings.Trim(member, " \t"); member == "" {
				continue // may be left empty
			}
			if members++; !isStateMember(member) {
				return false
			}
		}
	}
	return members > 0 && members <= maxStateMembers && size <= maxStateSize
}

// isStateMember reports whether s is KEY=VALUE in the characters of one vendor's state.
func isStateMember(s string) bool {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" || len(key) > 256 || value == "" || len(value) > 256 {
		return false
	}
	for i := range len(key) {
		c := key[i]
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || strings.IndexByte("_-*/@", c) < 0) {
			return false
		}
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '=' {
			return false
		}
	}
	return true
}
