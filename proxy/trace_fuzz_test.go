package proxy

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The grammar of the standard, as a regular expression.
var (
	anyParent   = regexp.MustCompile(`\A([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\z`)
	knownParent = regexp.MustCompile(`\A00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\z`)
	anyState    = regexp.MustCompile(`\A[a-z0-9][a-z0-9_*/@-]{0,255}=[ -<>-~]{1,256}\z`)
)

// FuzzTrace holds what is taken for a trace against the standard's grammar, and what is sent on against what came.
func FuzzTrace(f *testing.F) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, parent := range []string{good, "cc" + good[2:] + "-more", good + "-", good[:54], strings.ToUpper(good), "00-" + strings.Repeat("0", 32) + good[35:], "ff" + good[2:], ""} {
		f.Add(parent, "a=b,c=d")
	}
	f.Add(good, " , a = b,,=c, d=e=f")
	f.Fuzz(func(t *testing.T, parent, state string) {
		trace := traceOf(http.Header{"Traceparent": {parent}})
		m := anyParent.FindStringSubmatch(strings.ReplaceAll(parent, "\n", "\r")) // "." takes no line feed
		valid := m != nil && m[1] != "ff" && strings.Trim(m[2], "0") != "" && strings.Trim(m[3], "0") != "" && (m[1] != "00" || m[5] == "")
		if got := trace.parent != ""; got != valid {
			t.Fatalf("traceOf(%q) is a trace: %t, want %t", parent, got, valid)
		}
		out := http.Header{}
		trace.pass(http.Header{"Tracestate": {state}}, out)
		if !valid {
			if len(out) > 0 {
				t.Fatalf("sent on of %q: %v, want nothing", parent, out)
			}
			return
		}
		sent := out.Get("Traceparent")
		if !knownParent.MatchString(sent) || sent[:53] != "00"+parent[2:53] || m[1] == "00" && sent != parent || trace.id() != m[2] || trace.span() != m[3] {
			t.Fatalf("sent on of %q: %q, logged %q, %q", parent, sent, trace.id(), trace.span())
		}
		members, wellFormed := 0, len(state) <= maxStateSize
		for member := range strings.SplitSeq(state, ",") {
			if member = strings.Trim(member, " \t"); member != "" {
				members++
				wellFormed = wellFormed && anyState.MatchString(member)
			}
		}
		wellFormed = wellFormed && members > 0 && members <= maxStateMembers
		if got := out["Tracestate"] != nil; got != wellFormed || got && out.Get("Tracestate") != state {
			t.Fatalf("tracestate sent on of %q: %q, want it: %t", state, out["Tracestate"], wellFormed)
		}
	})
}
