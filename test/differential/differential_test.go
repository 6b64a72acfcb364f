//go:build e2e

package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// world is the world of the requests to the router.
func world() World {
	return NewWorld("3f1c2a9e-1111-4222-8333-444455556666", "8d2b6c1f-7777-4888-9999-aaaabbbbcccc",
		"5a0e7d34-abcd-4eef-8aaa-0123456789ab", "c4d9e812-fedc-4bba-9bcd-ba9876543210")
}

// doubt is long for the router, which responds at once.
const doubt = 250 * time.Millisecond

// lab is a gate in front of a router.
type lab struct {
	world  World
	router *Router
	gate   *Gate
	lacks  []string // routes that the version does not have
}

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

func newLab(t testing.TB, version, prefix string) *lab {
	l := &lab{world: world(), router: StartRouter(t, version, "")}
	l.world.Prefix = prefix
	if version == "2.2.8" {
		l.lacks = []string{"mcp", "webhook", "text-to-speech", "text-to-speech-abort"}
	}
	l.gate = StartGate(t, testkit.Build(t), l.world, l.router.Gate, l.router.Key)
	return l
}

// The words by which hits are found. Their length is the same, so that the two requests differ in nothing else.
func gateWord(index int) string   { return fmt.Sprintf("wg%09d", index) }
func directWord(index int) string { return fmt.Sprintf("wd%09d", index) }

func TestDifferential(t *testing.T) {
	seed, count := Setting(t, "E2E_SEED", 1), int(Setting(t, "E2E_COUNT", 20000))
	only := int(Setting(t, "E2E_INDEX", 0)) // 0 is the index of a request that is not changed
	for _, tt := range []struct{ version, prefix string }{{"2.2.8", ""}, {"3.1.4", ""}, {"3.1.4", "/chat"}} {
		t.Run(tt.version+tt.prefix, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, tt.version, tt.prefix)
			g := Generator{World: l.world, Seed: seed}
			var outcomes []Outcome
			for _, c := range Valid(l.world, gateWord) {
				outcomes = append(outcomes, Outcome{Case: c})
			}
			valid := len(outcomes)
			known := Known(l.world, valid, gateWord)
			for _, c := range known {
				if only == 0 {
					outcomes = append(outcomes, Outcome{Case: c})
				}
			}
			first := valid + len(known)
			for i := first; i < first+count; i++ {
				if only == 0 || i == only {
					outcomes = append(outcomes, Outcome{Case: g.Case(i, gateWord(i))})
				}
			}
			l.send(t, g, outcomes)
			lines, other := l.gate.Stop()
			for _, o := range other {
				t.Errorf("the gate logged %s", o)
			}
			stray := l.pair(outcomes)
			for _, h := range stray {
				t.Errorf("seed %d: the upstream received through the gate a request that nobody sent: %+v", seed, h)
			}
			judge := Judge{World: l.world, Upstream: l.router.Gate, Key: l.router.Key, Lacks: l.lacks}
			faulty := 0
			for _, o := range outcomes {
				faults := judge.Faults(o, lines)
				if len(faults) == 0 {
					continue
				}
				if faulty++; faulty <= 20 {
					t.Errorf("%s\n%s", o.Case.Print(seed), strings.Join(faults, "\n"))
				}
			}
			if faulty > 20 {
				t.Errorf("%d cases failed; the first 20 are above", faulty)
			}
			l.validPass(t, outcomes[:valid])
			if only == 0 {
				report(t, outcomes[first:], seed, faulty)
			}
		})
	}
}

// send sends each case to the gate and around it.
func (l *lab) send(t *testing.T, g Generator, outcomes []Outcome) {
	t.Helper()
	work := make(chan *Outcome)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for o := range work {
				var err error
				if o.Responses, err = Send(l.gate.Addr, o.Case, doubt); err != nil {
					t.Errorf("request to the gate: %v", err)
				}
				direct := o.Case
				direct.Raw = []byte(strings.ReplaceAll(string(direct.Raw), gateWord(direct.Index), directWord(direct.Index)))
				if len(direct.Classes) > 0 { // generated again, because the word may be encoded
					direct = g.Case(direct.Index, directWord(direct.Index))
				}
				if l.world.Prefix != "" { // Flowise has none
					direct.Raw = bytes.ReplaceAll(direct.Raw, []byte(l.world.Prefix+"/api"), []byte("/api"))
				}
				if _, err := Send(l.router.Direct, direct, doubt); err != nil {
					t.Errorf("request to the router: %v", err)
				}
			}
		})
	}
	for i := range outcomes {
		work <- &outcomes[i]
	}
	close(work)
	wg.Wait()
}

// pair assigns each hit to its case, by the request ID of a response or else by its word. It returns the hits without a case.
func (l *lab) pair(outcomes []Outcome) (stray []Hit) {
	byID, byWord := map[string]*Outcome{}, map[string]*Outcome{}
	for i := range outcomes {
		o := &outcomes[i]
		byWord[gateWord(o.Case.Index)], byWord[directWord(o.Case.Index)] = o, o
		for _, a := range o.Responses {
			byID[a.Header.Get("X-Request-Id")] = o
		}
	}
	delete(byID, "")
	for _, h := range l.router.Hits() {
		var o *Outcome
		for _, id := range h.Header("X-Request-Id") {
			o = byID[id]
		}
		if words := h.Header("X-Nonce"); o == nil && len(words) > 0 {
			o = byWord[strings.TrimSpace(words[0])]
		}
		switch {
		case h.Via == "direct" && o != nil:
			o.Direct = append(o.Direct, h)
		case h.Via == "direct":
		case o == nil:
			stray = append(stray, h)
		default:
			o.Hits = append(o.Hits, h)
		}
	}
	return stray
}

// validPass fails the test unless unchanged requests reach the controller and the chatflow that they are for.
func (l *lab) validPass(t *testing.T, outcomes []Outcome) {
	t.Helper()
	for _, o := range outcomes {
		want := o.Case.Route
		if slices.Contains(l.lacks, want) {
			continue
		}
		if len(o.Hits) != 1 || o.Hits[0].Controller != want || exposed[want] && text(o.Hits[0].Chatflow) != o.Case.Aim {
			t.Errorf("as a client sends it, %s reached %+v, want its controller for %s once:\n%q", want, o.Hits, o.Case.Aim, o.Case.Raw)
		}
	}
}

// report logs statistics, and fails the test if the cases prove nothing.
func report(t *testing.T, outcomes []Outcome, seed uint64, faulty int) {
	t.Helper()
	type count struct{ sent, refused, unread, forwarded, direct int }
	classes, codes := map[string]*count{}, map[string]int{}
	all := &count{}
	for _, name := range Classes() {
		classes[name] = &count{}
	}
	for _, o := range outcomes {
		names := slices.Clone(o.Case.Classes)
		slices.Sort(names)
		counts := []*count{all}
		for _, name := range slices.Compact(names) {
			counts = append(counts, classes[name])
		}
		hit := slices.ContainsFunc(o.Direct, func(h Hit) bool { return exposed[h.Controller] || strings.HasPrefix(h.Controller, "other:") })
		for _, c := range counts {
			c.sent++
			switch {
			case len(o.Hits) > 0:
				c.forwarded++
			case len(o.Responses) > 0 && o.Responses[0].Header.Get("X-Request-Id") != "":
				c.refused++
			default:
				c.unread++
			}
			if hit {
				c.direct++
			}
		}
		for _, a := range o.Responses {
			if a.Status >= 400 {
				codes[strconv.Itoa(a.Status)+" "+code(a)]++
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d requests, %d with a fault\n%-20s %7s %7s %7s %7s %7s\n", seed, all.sent, faulty, "", "sent", "refused", "no HTTP", "passed", "direct")
	for _, name := range append(slices.Sorted(maps.Keys(classes)), "all") {
		c := classes[name]
		if name == "all" {
			c = all
		} else if c.sent < all.sent/200 {
			t.Errorf("of the class %q %d requests were sent of %d, want more", name, c.sent, all.sent)
		}
		fmt.Fprintf(&b, "%-20s %7d %7d %7d %7d %7d\n", name, c.sent, c.refused, c.unread, c.forwarded, c.direct)
	}
	for _, c := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(&b, "%7d × %s\n", codes[c], c)
	}
	t.Log(b.String())
	if all.direct < all.sent/20 {
		t.Errorf("%d of %d requests reach a chatflow around the gate, want more: else this proves nothing", all.direct, all.sent)
	}
	if all.forwarded < all.sent/50 {
		t.Errorf("the gate let %d of %d requests through, want more: else this proves nothing", all.forwarded, all.sent)
	}
}

// code returns the error code of a refusal, or who refused.
func code(a Response) string {
	var p struct{ Code string }
	switch {
	case a.Header.Get("X-Request-Id") == "":
		return "(net/http)"
	case json.Unmarshal(a.Body, &p) == nil && p.Code != "":
		return p.Code
	}
	return "(upstream)"
}
