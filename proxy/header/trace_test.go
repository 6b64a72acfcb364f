package header

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// knownParent matches a traceparent of version 00.
var knownParent = regexp.MustCompile(`\A00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\z`)

// FuzzTrace: a trace that is forwarded and logged has the form of the standard and is the client's own. A tracestate
// passes only together with one, unchanged, printable and short.
func FuzzTrace(f *testing.F) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, parent := range []string{good, "cc" + good[2:] + "-more", good + "-", good[:54], strings.ToUpper(good), "00-" + strings.Repeat("0", 32) + good[35:], "ff" + good[2:], ""} {
		f.Add(parent, "a=b,c=d")
	}
	f.Add(good, " , a = b,,=c, d=e=f")
	f.Fuzz(func(t *testing.T, parent, state string) {
		trace, out := TraceOf(http.Header{"Traceparent": {parent}}), http.Header{}
		trace.Pass(http.Header{"Tracestate": {state}}, out)
		if trace == "" {
			if len(out) > 0 {
				t.Fatalf("traceparent %q is forwarded as %v, want nothing", parent, out)
			}
			return
		}
		sent := out.Get("Traceparent")
		id, span := trace.IDs()
		zeros := strings.Trim(id, "0") == "" || strings.Trim(span, "0") == ""
		if !knownParent.MatchString(sent) || zeros || len(parent) < len(sent) || sent[2:53] != parent[2:53] || parent[:2] == "00" && sent != parent {
			t.Fatalf("traceparent %q is forwarded as %q and logged as %q, %q, want its own", parent, sent, id, span)
		}
		if got, passed := out["Tracestate"]; passed && (got[0] != state || state == "" || len(state) > maxTracestate || strings.ContainsFunc(state, func(r rune) bool { return r < ' ' || r > '~' })) {
			t.Fatalf("tracestate %[2]q is forwarded as %[1]q, want it unchanged, printable and short", got, state)
		}
	})
}
