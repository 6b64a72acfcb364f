package proxy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	spanID      = "b7ad6b7169203331"
	traceparent = "00-" + traceID + "-" + spanID + "-01"
)

// traceHeaders returns the headers of a trace.
func traceHeaders(h http.Header) http.Header {
	got := http.Header{}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if v, ok := h[name]; ok {
			got[name] = v
		}
	}
	return got
}

// traceOfLine returns the trace in the log line of a request.
func traceOfLine(t *testing.T, g *gate, requestID string) (id, span string) {
	t.Helper()
	var line struct {
		RequestID string `json:"request_id"`
		TraceID   string `json:"trace_id"`
		SpanID    string `json:"span_id"`
	}
	testkit.Eventually(t, "log line of "+requestID, func() bool { return strings.Contains(g.log.String(), requestID+`"`) })
	for text := range strings.Lines(g.log.String()) {
		if err := json.Unmarshal([]byte(text), &line); err == nil && line.RequestID == requestID {
			return line.TraceID, line.SpanID
		}
	}
	t.Fatalf("no log line of %s", requestID)
	return "", ""
}

// TestTrace sends well-formed and malformed traces, and checks what the upstream and the log get of them.
func TestTrace(t *testing.T) {
	t.Parallel()
	const otherID, otherSpan = "11111111111111111111111111111111", "2222222222222222"
	part := func(version, id, span, flags string) string {
		return "Traceparent: " + version + "-" + id + "-" + span + "-" + flags
	}
	valid := "Traceparent: " + traceparent
	only := http.Header{"Traceparent": {traceparent}}
	for _, tt := range []struct {
		name   string
		client []string
		want   http.Header // at the upstream; empty if the trace is not valid, and then it is not in the log either
	}{
		{"none", nil, http.Header{}},
		{"valid", []string{valid}, only},
		{"not sampled", []string{part("00", traceID, spanID, "00")}, http.Header{"Traceparent": {"00-" + traceID + "-" + spanID + "-00"}}},
		{"flags of level 2", []string{part("00", traceID, spanID, "03")}, http.Header{"Traceparent": {"00-" + traceID + "-" + spanID + "-03"}}},
		{"blanks around", []string{"Traceparent:  \t" + traceparent + " \t"}, only},
		{"lower-case name", []string{"traceparent: " + traceparent}, only},
		{"named as hop-by-hop", []string{valid, "Tracestate: a=b", "Connection: traceparent, tracestate, close"}, http.Header{"Traceparent": {traceparent}, "Tracestate": {"a=b"}}},

		{"twice the same", []string{valid, valid}, http.Header{}},
		{"two", []string{valid, part("00", otherID, otherSpan, "01")}, http.Header{}},
		{"two in one", []string{valid + "," + traceparent}, http.Header{}},
		{"empty", []string{"Traceparent: "}, http.Header{}},
		{"empty and one", []string{"Traceparent: ", valid}, http.Header{}},
		{"underscore", []string{"Trace_parent: " + traceparent}, http.Header{}},

		{"upper-case trace ID", []string{part("00", strings.ToUpper(traceID), spanID, "01")}, http.Header{}},
		{"upper-case span ID", []string{part("00", traceID, strings.ToUpper(spanID), "01")}, http.Header{}},
		{"upper-case flags", []string{part("00", traceID, spanID, "0A")}, http.Header{}},
		{"upper-case version", []string{part("0A", traceID, spanID, "01")}, http.Header{}},
		{"trace ID of zeros", []string{part("00", strings.Repeat("0", 32), spanID, "01")}, http.Header{}},
		{"span ID of zeros", []string{part("00", traceID, strings.Repeat("0", 16), "01")}, http.Header{}},
		{"no hex in the trace ID", []string{part("00", traceID[:31]+"g", spanID, "01")}, http.Header{}},
		{"no hex in the span ID", []string{part("00", traceID, spanID[:15]+"/", "01")}, http.Header{}},
		{"no hex in the flags", []string{part("00", traceID, spanID, "0x")}, http.Header{}},
		{"a sign in the flags", []string{part("00", traceID, spanID, "+1")}, http.Header{}},
		{"trace ID too short", []string{part("00", traceID[1:], spanID, "01")}, http.Header{}},
		{"trace ID too long", []string{part("00", traceID+"0", spanID, "01")}, http.Header{}},
		{"span ID too short", []string{part("00", traceID, spanID[1:], "01")}, http.Header{}},
		{"too short by the flags", []string{part("00", traceID, spanID, "0")}, http.Header{}},
		{"longer than version 00", []string{valid + "-extra"}, http.Header{}},
		{"longer by a hyphen", []string{valid + "-"}, http.Header{}},
		{"other separators", []string{"Traceparent: " + strings.ReplaceAll(traceparent, "-", "_")}, http.Header{}},
		{"first separator", []string{"Traceparent: 00_" + traceparent[3:]}, http.Header{}},
		{"second separator", []string{"Traceparent: 00-" + traceID + "0" + spanID + "-01"}, http.Header{}},
		{"third separator", []string{"Traceparent: 00-" + traceID + "-" + spanID + "001"}, http.Header{}},

		{"version ff", []string{part("ff", traceID, spanID, "01")}, http.Header{}},
		{"version that is no number", []string{part("zz", traceID, spanID, "01")}, http.Header{}},
		{"later version, as long", []string{part("01", traceID, spanID, "01")}, only},
		{"later version, longer", []string{part("cc", traceID, spanID, "01") + "-what-will-be"}, only},
		{"later version, other flags", []string{part("cc", traceID, spanID, "fe")}, http.Header{"Traceparent": {"00-" + traceID + "-" + spanID + "-00"}}},
		{"later version, all flags", []string{part("cc", traceID, spanID, "ff")}, only},
		{"later version, runs on", []string{part("cc", traceID, spanID, "01") + ".what-will-be"}, http.Header{}},

		{"state", []string{valid, "Tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}, http.Header{"Traceparent": {traceparent}, "Tracestate": {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}}},
		{"state of two headers", []string{valid, "Tracestate: a=b, ", "Tracestate: 1t@v=c d"}, http.Header{"Traceparent": {traceparent}, "Tracestate": {"a=b,", "1t@v=c d"}}},
		{"state alone", []string{"Tracestate: a=b"}, http.Header{}},
		{"state of a malformed trace", []string{valid + "0", "Tracestate: a=b"}, http.Header{}},
		{"state that no vendor would write", []string{valid, "Tracestate: a,=b,A=c=d"}, http.Header{"Traceparent": {traceparent}, "Tracestate": {"a,=b,A=c=d"}}},
		{"state beyond ASCII", []string{valid, "Tracestate: a=\xc3\xa9"}, only},
		{"state with a tab", []string{valid, "Tracestate: a=b\tc"}, only},
		{"empty state", []string{valid, "Tracestate: "}, only},
		{"state of 512 bytes", []string{valid, "Tracestate: a=" + strings.Repeat("b", 510)}, http.Header{"Traceparent": {traceparent}, "Tracestate": {"a=" + strings.Repeat("b", 510)}}},
		{"state of 513 bytes", []string{valid, "Tracestate: a=" + strings.Repeat("b", 511)}, only},
		{"state of 513 bytes in two headers", []string{valid, "Tracestate: a=" + strings.Repeat("b", 254), "Tracestate: a=" + strings.Repeat("b", 254)}, only},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				g := newGate(t, nil, change)
				res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(tt.client, bearerOf(secretA), jsonType)...)
				r, _, _ := g.upstream.last()
				if res.status != 200 || r == nil {
					t.Fatalf("response = %d %s, want 200", res.status, res.body)
				}
				if diff := cmp.Diff(tt.want, traceHeaders(r.Header)); diff != "" {
					t.Errorf("trace at the upstream (-want +got):\n%s", diff)
				}
				wantID, wantSpan := "", ""
				if len(tt.want) > 0 {
					wantID, wantSpan = traceID, spanID
				}
				id, span := traceOfLine(t, g, res.header.Get("X-Request-Id"))
				if id != wantID || span != wantSpan {
					t.Errorf("trace_id, span_id in the log = %q, %q, want %q, %q", id, span, wantID, wantSpan)
				}
				if len(tt.want) == 0 && strings.Contains(g.log.String(), `"trace_id"`) {
					t.Errorf("log = %s, want no trace", g.log)
				}
			})
		})
	}
}

// TestTraceOfARefusal: the trace of a refused request is logged.
func TestTraceOfARefusal(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	for _, target := range []string{"/api/v1/prediction/" + botA, "/api/v1/%70rediction/" + botA, "/nowhere"} {
		res := g.request(t, "POST", target, "{}", "Traceparent: "+traceparent)
		if res.status < 400 {
			t.Fatalf("POST %s = %d, want a refusal", target, res.status)
		}
		if id, span := traceOfLine(t, g, res.header.Get("X-Request-Id")); id != traceID || span != spanID {
			t.Errorf("trace_id, span_id of POST %s = %q, %q, want %q, %q", target, id, span, traceID, spanID)
		}
	}
}
