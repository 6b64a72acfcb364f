//go:build e2e

package differential

import (
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// FuzzDifferential sends any bytes and judges as TestDifferential does, but for the number of requests that are in them,
// which is not known.
func FuzzDifferential(f *testing.F) {
	for _, c := range Known(world(), 0, gateWord) {
		f.Add(c.Raw)
	}
	g := Generator{World: world(), Seed: 1}
	for i := range 60 {
		f.Add(g.Case(i, gateWord(i)).Raw)
	}
	l := newLab(f, "3.1.4", "")
	judge := Judge{World: l.world, Upstream: l.router.Gate, Key: l.router.Key, Lacks: l.lacks}
	seen := 0
	const theLast = "the-last-one"
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 64<<10 {
			t.Skip()
		}
		o := Outcome{Case: Case{Route: "fuzzed", Raw: raw, Most: len(raw), Odd: true}}
		var err error
		if o.Responses, err = Send(l.gate.Addr, o.Case, doubt); err != nil {
			t.Fatal(err)
		}
		if _, err := Send(l.router.Direct, o.Case, doubt); err != nil {
			t.Fatal(err)
		}
		// An incomplete request may still be on its way; a complete one follows it.
		last := Valid(l.world, func(int) string { return theLast })[0]
		if end, err := Send(l.gate.Addr, last, doubt); err != nil || len(end) == 0 || end[0].Status != 200 {
			t.Fatalf("after %q the gate responds to a prediction with %+v, %v", raw, end, err)
		}
		hits := l.router.Hits()[seen:]
		seen += len(hits)
		for _, h := range hits {
			switch {
			case h.Via == "direct":
				o.Direct = append(o.Direct, h)
			case len(h.Header("X-Nonce")) != 1 || h.Header("X-Nonce")[0] != theLast:
				o.Hits = append(o.Hits, h)
			}
		}
		lines := map[string]Line{}
		for _, id := range requestIDs(o) {
			testkit.Poll(timeout, func() (written bool) {
				lines[id], written = l.gate.line(id)
				return written
			})
		}
		o.Direct = nil // there may be several, in any order
		for _, fault := range judge.Faults(o, lines) {
			t.Errorf("%q\n%s", raw, fault)
		}
	})
}

// requestIDs returns the request IDs of an outcome.
func requestIDs(o Outcome) []string {
	var ids []string
	for _, h := range o.Hits {
		ids = append(ids, h.Header("X-Request-Id")...)
	}
	for _, a := range o.Responses {
		if id := a.Header.Get("X-Request-Id"); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
