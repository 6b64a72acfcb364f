//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/deploy/e2e/differential"
)

// mutated sends requests with a word of their own, changed from a seed, and finds by Flowise's records what each has run.
// The router of the differential tests gets the same, and must say of each what Flowise did.
func mutated(t *testing.T, l *lab) {
	another := func(name string) string { return l.flowise.chatflow(t, name, "CHATFLOW", echoNodes(), nil) }
	world := differential.NewWorld(another("mutated a"), another("mutated b"), another("mutated public"), another("mutated unlisted"))
	router := differential.StartRouter(t, l.flowise.version, l.flowise.node(t))
	upstream := strings.TrimPrefix(l.flowise.url, "http://")
	gate := differential.StartGate(t, l.binary, world, upstream, l.flows.key)
	for _, s := range world.Secrets {
		l.secrets = append(l.secrets, s)
	}
	seed, mutations := differential.Setting(t, "E2E_SEED", 1), int(differential.Setting(t, "E2E_COUNT", 400))
	// What these do can be read from Flowise: questions and leads are stored under the chatflow they are for.
	g := differential.Generator{World: world, Seed: seed, Only: []string{"prediction", "prediction", "leads", "other:internal-prediction"}}
	through := func(i int) string { return fmt.Sprintf("wg%09d", i) }
	around := func(i int) string { return fmt.Sprintf("wd%09d", i) }

	const doubt = 2 * time.Second // Flowise takes its time
	answers, direct := make([][]differential.Answer, mutations), make([][]differential.Answer, mutations)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				var err error
				if answers[i], err = differential.Send(gate.Addr, g.Case(i, through(i)), doubt); err != nil {
					t.Errorf("calling the gate: %v", err)
				}
				if direct[i], err = differential.Send(upstream, g.Case(i, around(i)), doubt); err != nil {
					t.Errorf("calling Flowise: %v", err)
				}
				if _, err = differential.Send(router.Direct, g.Case(i, around(i)), doubt); err != nil {
					t.Errorf("calling the router: %v", err)
				}
			}
		})
	}
	for i := range mutations {
		work <- i
	}
	close(work)
	wg.Wait()
	lines, other := gate.Stop()
	for _, o := range other {
		t.Errorf("the gate logged %s", o)
	}

	// Flowise may still be at work on what nobody waited for; what the router says it will do is what to wait for.
	want := map[string]string{}
	for _, h := range router.Hits() {
		for i, word := range h.Header("X-Nonce") {
			if chatflow, ok := h.Runs(world, strings.TrimSpace(word)); ok && i == 0 {
				want[strings.TrimSpace(word)] = chatflow
			}
		}
	}
	var ran map[string][]string
	settled := func() bool {
		ran = l.flowise.ran(t, world)
		for word, chatflow := range want {
			if !slices.Contains(ran[word], chatflow) {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(5 * time.Second); !settled() && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}

	judge := differential.Judge{World: world}
	passed, took := 0, 0
	for i := range mutations {
		c := g.Case(i, through(i))
		got, gotDirect := ran[through(i)], ran[around(i)]
		passed, took = passed+min(1, len(got)), took+min(1, len(gotDirect))
		if len(got) > c.Most {
			t.Errorf("%s\nFlowise ran %q, want at most %d", c.Print(seed), got, c.Most)
		}
		for _, chatflow := range got {
			if err := judge.Ran(c, chatflow, answers[i], lines); err != nil {
				t.Errorf("%s\n%v", c.Print(seed), err)
			}
			if len(gotDirect) == 1 && c.Most == 1 && gotDirect[0] != chatflow {
				t.Errorf("%s\nthrough the gate it ran %s, around it %s", c.Print(seed), chatflow, gotDirect[0])
			}
		}
		if imitated := want[around(i)]; c.Most == 1 && (imitated == "" != (len(gotDirect) == 0) || imitated != "" && !slices.Contains(gotDirect, imitated)) {
			t.Errorf("%s\nFlowise ran %q and answered %v, the router that imitates it says %q", c.Print(seed), gotDirect, direct[i], imitated)
		}
	}
	t.Logf("seed %d: of %d requests Flowise took %d around the gate and %d through it", seed, mutations, took, passed)
	if took < mutations/20 || passed < mutations/100 {
		t.Error("too few of the requests run anything: this proves nothing")
	}
}

// ran returns which chatflows each word ran: those that hold it as a question or as the name of a lead.
func (f *flowise) ran(t *testing.T, w differential.World) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, id := range []string{w.A, w.B, w.Public, w.Unlisted} {
		var messages []struct{ Role, Content string }
		f.api(t, http.MethodGet, "/chatmessage/"+id, nil, &messages)
		for _, m := range messages {
			if m.Role == "userMessage" {
				found[m.Content] = append(found[m.Content], id)
			}
		}
		var leads []struct{ Name json.RawMessage }
		f.api(t, http.MethodGet, "/leads/"+id, nil, &leads)
		for _, lead := range leads {
			var name string
			_ = json.Unmarshal(lead.Name, &name) // some are no string
			found[name] = append(found[name], id)
		}
	}
	return found
}

// node returns the program that Flowise runs on, if it is not the machine's own.
func (f *flowise) node(t *testing.T) string {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(cache, f.version, "node_modules", ".bin", "node")
	if _, err := os.Stat(node); err != nil {
		return ""
	}
	return node
}
