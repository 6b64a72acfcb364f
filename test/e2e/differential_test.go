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

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/test/differential"
)

// mutated sends changed requests, each with a word of its own, and finds in Flowise's records what each ran. The router of
// the differential tests gets the same requests, and must do as Flowise did.
func mutated(t *testing.T, l *lab) {
	another := func(name string) string { return l.flowise.chatflow(t, name, "CHATFLOW", echoNodes(), nil) }
	world := differential.NewWorld(another("mutated a"), another("mutated b"), another("mutated public"), another("mutated unlisted"))
	for _, s := range world.Secrets {
		l.secrets = append(l.secrets, s)
	}
	seed, count := differential.Setting(t, "E2E_SEED", 1), int(differential.Setting(t, "E2E_COUNT", 400))
	// Flowise stores the questions and leads of these routes with their chatflow.
	g := differential.Generator{World: world, Seed: seed, Only: []string{"prediction", "leads", "other:internal-prediction"}}
	// made returns all requests, with a word for each: two calls differ in the words only.
	made := func(word func(int) string) []differential.Case {
		var cases []differential.Case
		for i := range count {
			cases = append(cases, g.Case(i, word(i)))
		}
		return append(cases, differential.Known(world, count, word)...)
	}
	through, around := made(throughWord), made(aroundWord)

	upstream := strings.TrimPrefix(l.flowise.url, "http://")
	gate := differential.StartGate(t, l.binary, world, upstream, l.flows.key)
	router := differential.StartRouter(t, l.flowise.version, l.flowise.node(t))
	responses := make([][]differential.Response, len(through))
	inTurn(len(through), func(i int) {
		responses[i] = deliver(t, gate.Addr, through[i])
		deliver(t, upstream, around[i])
		deliver(t, router.Direct, around[i])
	})
	lines, other := gate.Stop()
	for _, o := range other {
		t.Errorf("the gate logged %s", o)
	}
	imitated := imitation(router, world)
	ran := l.flowise.settled(t, world, imitated)

	judge := differential.Judge{World: world}
	passed, took := 0, 0
	for i, c := range through {
		got, direct := ran[throughWord(i)], ran[aroundWord(i)]
		passed, took = passed+min(1, len(got)), took+min(1, len(direct))
		if len(got) > c.Most {
			t.Errorf("%s\nFlowise ran %q, want at most %d", c.Print(seed), got, c.Most)
		}
		for _, chatflow := range got {
			if err := judge.Ran(c, chatflow, responses[i], lines); err != nil {
				t.Errorf("%s\n%v", c.Print(seed), err)
			}
			if len(direct) == 1 && c.Most == 1 && direct[0] != chatflow {
				t.Errorf("%s\nthrough the gate it ran %s, around it %s", c.Print(seed), chatflow, direct[0])
			}
		}
		if would := imitated[aroundWord(i)]; c.Most == 1 && !same(direct, would) {
			// Where one of two writes at once fails, Flowise's SQLite may take back both: it gets the request again, alone.
			alone := fmt.Sprintf("wa%09d", i)
			response := deliver(t, upstream, made(func(int) string { return alone })[i])
			if got := l.flowise.ran(t, world)[alone]; !same(got, would) {
				t.Errorf("%s\nFlowise ran %q and responded %v, the router that imitates it ran %q", c.Print(seed), got, response, would)
			}
		}
	}
	t.Logf("seed %d: of %d requests Flowise took %d around the gate and %d through it", seed, len(through), took, passed)
	if took < count/20 || passed < count/100 {
		t.Error("too few of the requests run anything: this proves nothing")
	}
}

// The words by which a request, through the gate and around it, is found in Flowise.
func throughWord(i int) string { return fmt.Sprintf("wg%09d", i) }
func aroundWord(i int) string  { return fmt.Sprintf("wd%09d", i) }

// inTurn calls do for the numbers below n, some at a time.
func inTurn(n int, do func(int)) {
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

func deliver(t *testing.T, addr string, c differential.Case) []differential.Response {
	t.Helper()
	responses, err := differential.Send(addr, c, 2*time.Second) // Flowise is slow
	if err != nil {
		t.Errorf("request to %s: %v", addr, err)
	}
	return responses
}

// imitation returns the chatflow that each word ran, according to the router.
func imitation(r *differential.Router, w differential.World) map[string]string {
	would := map[string]string{}
	for _, h := range r.Hits() {
		if words := h.Header("X-Nonce"); len(words) > 0 {
			word := strings.TrimSpace(words[0])
			if chatflow, ok := h.Runs(w, word); ok {
				would[word] = chatflow
			}
		}
	}
	return would
}

// settled returns what each word ran in Flowise. It waits a few seconds for what the router ran, because Flowise may still
// be busy with requests whose client did not wait for a response.
func (f *flowise) settled(t *testing.T, w differential.World, would map[string]string) map[string][]string {
	t.Helper()
	var ran map[string][]string
	testkit.Poll(5*time.Second, func() bool {
		ran = f.ran(t, w)
		for word, chatflow := range would {
			if !slices.Contains(ran[word], chatflow) {
				return false
			}
		}
		return true
	})
	return ran
}

// same reports whether a request ran the chatflow that it would run, or none if it would run none.
func same(ran []string, would string) bool {
	if would == "" {
		return len(ran) == 0
	}
	return slices.Contains(ran, would)
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
			_ = json.Unmarshal(lead.Name, &name) // some are not strings
			found[name] = append(found[name], id)
		}
	}
	return found
}

// node returns the path of the Node that Flowise was installed with, or "" for node in $PATH.
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
