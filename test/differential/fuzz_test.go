//go:build e2e

package differential

import (
	"testing"
	"time"
)

// FuzzDifferential sends any bytes and judges as TestDifferential does. All that cannot be known of bytes that were not
// made here is how many requests are in them.
func FuzzDifferential(f *testing.F) {
	for _, c := range Known(world(), 0, gateWord) {
		f.Add(c.Raw)
	}
	g := Generator{World: world(), Seed: 1}
	for i := range 60 {
		f.Add(g.Case(i, gateWord(i)).Raw)
	}
	l := newLab(f, "3.1.4")
	judge := Judge{World: l.world, Upstream: l.router.Gate, Key: l.router.Key, Lacks: l.lacks}
	seen := 0
	const theLast = "the-last-one"
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 64<<10 {
			t.Skip()
		}
		o := Outcome{Case: Case{Route: "fuzzed", Raw: raw, Most: len(raw), Odd: true}}
		var err error
		if o.Answers, err = Send(l.gate.Addr, o.Case, doubt); err != nil {
			t.Fatal(err)
		}
		if _, err := Send(l.router.Direct, o.Case, doubt); err != nil {
			t.Fatal(err)
		}
		// What was cut off may still be on its way; a request of known end comes after it.
		last := Valid(l.world, func(int) string { return theLast })[0]
		if end, err := Send(l.gate.Addr, last, doubt); err != nil || len(end) == 0 || end[0].Status != 200 {
			t.Fatalf("after %q the gate answers a prediction with %+v, %v", raw, end, err)
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
			for end := time.Now().Add(patience); ; {
				if line, ok := l.gate.line(id); ok || time.Now().After(end) {
					lines[id] = line
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		o.Direct = nil // there may be several, in any order
		for _, fault := range judge.Faults(o, lines) {
			t.Errorf("%q\n%s", raw, fault)
		}
	})
}

// requestIDs are those of an outcome.
func requestIDs(o Outcome) []string {
	var ids []string
	for _, h := range o.Hits {
		ids = append(ids, h.Header("X-Request-Id")...)
	}
	for _, a := range o.Answers {
		if id := a.Header.Get("X-Request-Id"); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
