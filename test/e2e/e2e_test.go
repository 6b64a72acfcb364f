//go:build e2e

// Package e2e tests flowlatch in front of a real Flowise: both run as processes, and only the language model is replaced by
// a stand-in.
//
// It does not test parts of flowlatch by themselves, nor its speed.
package e2e

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// lab is what the tests share: one Flowise with its chatflows, the stand-in behind it and flowlatch's binary. Every test
// starts a gate of its own.
type lab struct {
	flowise *flowise
	flows   seed
	llm     *llm
	binary  string
	secrets []string // of every key; none may be in a log
}

func TestFlowise(t *testing.T) {
	l := &lab{binary: testkit.Build(t), llm: newLLM(t)}
	l.flowise = startFlowise(t, l.llm.url)
	l.flows = l.flowise.seed(t, l.llm.url)

	for _, tt := range []struct {
		name string
		run  func(*testing.T, *lab)
	}{
		{"a prediction with a key gets its response", wholePrediction},
		{"a stream arrives word by word", streamedPrediction},
		{"without the right key no chatflow runs", refusedPredictions},
		{"an odd spelling runs nothing", oddSpellings},
		{"a changed request runs the chatflow it was authorised for", mutated},
		{"a body that the chatflow denies runs nothing", limitedBodies},
		{"the gate handles CORS", browsers},
		{"doctor finds a missing gate", examined},
		{"the UI and the rest of the API are not exposed", notExposed},
		{"the widget's routes open with their group", widgetRoutes},
		{"a key of Flowise's own is forwarded", forwardedKey},
		{"a key of Flowise's own is put in from a file", keyFromFile},
		{"the keys of Flowise are imported", imported},
		{"a key made in the dashboard is applied", dashboardKeys},
		{"a revoked key stops and an open stream does not", revocation},
		{"a key holder aborts a stream", abort},
		{"requests at once are limited, and every program says so", limitedAtOnce},
		{"a stream that lasts too long ends as Flowise's own", limitedStream},
		{"a client that leaves keeps its place", leftPlace},
		{"a client that leaves ends an agent", abortedAgent},
		{"usage is what Flowise ran", countedUsage},
		{"a file goes up and comes down with a key", files},
		{"the widget does what its page says", widgets},
		{"the widget uses a private chatflow by tokens", privateWidgets},
		{"clients that people use get responses", clientPrograms},
		{"a key from nothing to revoked, on the console", inConsole},
		{"a key from nothing to revoked, by the API", byAPI},
		{"a key from nothing to revoked, by commands", byCommands},
		{"an SDK asks about streaming without a key", openDiscovery},
		{"keyed discovery asks for a key", keyedDiscovery},
		{"Flowise's rate limit is for each client", rateLimitByAddress},
		{"a stream survives SIGTERM", drain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the end of Flowise's log:\n%s", l.flowise.proc.tail(20))
				}
			})
			tt.run(t, l)
		})
	}
}

// unique returns a word that appears nowhere else.
func unique() string { return "q" + hex.EncodeToString(random(8)) }

// uuid returns a random UUID, version 4 (RFC 9562, section 5.4).
func uuid() string {
	b := random(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, since Go 1.24
	return b
}

// neverRan fails the test if one of the questions reached a chatflow. It first sends Flowise a last question, so that an
// earlier one, had the gate forwarded it, has been processed.
func (l *lab) neverRan(t *testing.T, chatflow string, questions ...string) {
	t.Helper()
	last := unique()
	if got := send(t, l.flowise.url, ask(chatflow, last, l.flows.key)); got.status != 200 {
		t.Fatalf("prediction of Flowise itself = %v, want 200", got)
	}
	if !l.flowise.asked(t, chatflow, last) {
		t.Fatalf("Flowise does not store what chatflow %s is asked", chatflow)
	}
	for _, q := range questions {
		if l.flowise.asked(t, chatflow, q) {
			t.Errorf("Flowise stored the question %s for chatflow %s, want it not to reach Flowise", q, chatflow)
		}
		if n := l.llm.asked(q); n != 0 {
			t.Errorf("the model was asked %s %d times, want never", q, n)
		}
	}
}
