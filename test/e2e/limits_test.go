//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// set adds a field to the key or chatflow with this ID.
func (k keyFile) set(t *testing.T, id, field string) {
	t.Helper()
	content, err := os.ReadFile(k.path)
	if err != nil {
		t.Fatal(err)
	}
	at := "- id: " + id + "\n"
	if strings.Count(string(content), at) != 1 {
		t.Fatalf("%q does not occur once in the key file:\n%s", at, content)
	}
	writeFile(t, k.path, strings.Replace(string(content), at, at+"    "+field+"\n", 1))
}

// limitedAtOnce has one place at the upstream, which somebody holds: everybody else is told so, by whatever program they use.
func limitedAtOnce(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	keys.set(t, "client", "limits: {concurrent: 1}")
	g := l.serve(t, keys.path)

	held := unique()
	release := l.llm.hold(t, held)
	s := openStream(t, g.URL, streamed(ask(l.flows.llmOpen, held, key), uuid()))
	s.firstToken(t)
	const sentence = "Too many answers are being written at once. Please try again in a moment."
	r := ask(l.flows.llmOpen, unique(), key)
	got := send(t, g.URL, r)
	wantProblem(t, r, got, http.StatusTooManyRequests, "too_many_concurrent")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q, want 1", got.header.Get("Retry-After"))
	}
	for _, p := range l.programs(t, g, l.flows.llmOpen) {
		for _, streaming := range []string{"false", "true"} {
			q := unique()
			shown := p.run(t, key, q, streaming)
			want := sentence
			if p.name == "flowise-sdk" && streaming == "true" {
				want = "HTTP error! status: 429" // it shows no more
			}
			if !strings.Contains(shown, want) {
				t.Errorf("%s, streaming %s, while the place is taken: %s, want %q", p.name, streaming, shown, want)
			}
			if n := l.llm.asked(q); n != 0 {
				t.Errorf("%s, streaming %s: the model was asked %d times, want never", p.name, streaming, n)
			}
		}
	}
	release()
	s.rest(t)
	q := unique()
	testkit.EventuallyWithin(t, 5*time.Second, "place for the next request", func() bool {
		return send(t, g.URL, ask(l.flows.llmOpen, q, key)).status == http.StatusOK
	})
}

// limitedStream has a response that lasts too long: its client gets Flowise's own events at its end.
func limitedStream(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	keys.set(t, "client", "limits: {stream: 2s}")
	g := l.serve(t, keys.path)

	q := unique()
	l.llm.hold(t, q)
	s := openStream(t, g.URL, streamed(ask(l.flows.llmOpen, q, key), uuid()))
	s.firstToken(t)
	text, events := s.rest(t) // which fails if the stream is cut
	if n := len(events); n < 2 || events[n-2] != "error" || events[n-1] != "end" {
		t.Errorf("the stream ended by %q %q, want an error and an end", text, events)
	}
}

// leftPlace has a client that leaves: it keeps its place until Flowise has ended.
func leftPlace(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	keys.set(t, "client", "limits: {concurrent: 1}")
	g := l.serve(t, keys.path)

	q := unique()
	release := l.llm.hold(t, q)
	s := openStream(t, g.URL, streamed(ask(l.flows.llmOpen, q, key), uuid()))
	s.firstToken(t)
	s.leave()
	for range 10 {
		r := ask(l.flows.llmOpen, unique(), key)
		wantProblem(t, r, send(t, g.URL, r), http.StatusTooManyRequests, "too_many_concurrent")
	}
	release()
	testkit.EventuallyWithin(t, 10*time.Second, "place of the client that left", func() bool {
		return send(t, g.URL, ask(l.flows.llmOpen, unique(), key)).status == http.StatusOK
	})
	testkit.EventuallyWithin(t, 10*time.Second, "Flowise has stored the question of the client that left", func() bool {
		return l.flowise.asked(t, l.flows.llmOpen, q)
	})
}

// abortedAgent has clients that leave while the first of two steps goes on: with on_disconnect: abort the second does not begin,
// and their place is free then; without it, it does.
func abortedAgent(t *testing.T, l *lab) {
	for _, onDisconnect := range []string{"abort", "drain"} {
		for _, streaming := range []bool{true, false} {
			keys := l.keyFile(t)
			key := keys.add(t, "client", l.flows.twoSteps)
			keys.set(t, "client", "limits: {concurrent: 1}")
			keys.set(t, l.flows.twoSteps, "on_disconnect: "+onDisconnect)
			var flags []string
			if l.flowise.is2() { // there the route needs a key of Flowise's own
				file := filepath.Join(t.TempDir(), "flowise-key")
				writeFile(t, file, l.flows.key)
				flags = []string{"--upstream-authorization", "file:" + file}
			}
			g := l.serve(t, keys.path, flags...)

			q := unique()
			release := l.llm.hold(t, q)
			r := streamed(ask(l.flows.twoSteps, q, key), uuid())
			r.body.(map[string]any)["streaming"] = streaming
			leave := openAndLeave(t, g.URL, r)
			testkit.EventuallyWithin(t, 10*time.Second, "the model is asked", func() bool { return l.llm.asked(q) == 1 })
			leave()
			log := func() string { return g.Stdout.String() + g.Stderr.String() }
			refused := ask(l.flows.twoSteps, unique(), key)
			wantProblem(t, refused, send(t, g.URL, refused), http.StatusTooManyRequests, "too_many_concurrent")
			if onDisconnect == "abort" {
				aborted := "PUT /api/v1/chatmessage/abort/" + l.flows.twoSteps + "/" + r.body.(map[string]any)["chatId"].(string)
				testkit.EventuallyWithin(t, 10*time.Second, "abort in Flowise's log", func() bool { return strings.Contains(l.flowise.proc.tail(50), aborted) })
				send(t, l.flowise.url, request{method: http.MethodGet, path: "/api/v1/ping"}) // by then it is done
			}
			release()
			testkit.EventuallyWithin(t, 10*time.Second, "log line of the request whose client left", func() bool { return strings.Contains(log(), `"client_closed"`) })
			want := map[string]int{"abort": 1, "drain": 2}[onDisconnect]
			if steps := l.llm.asked(q); steps != want {
				t.Errorf("on_disconnect: %s, streaming %t: %d steps, want %d", onDisconnect, streaming, steps, want)
			}
			if strings.Contains(log(), "could not be told") {
				t.Errorf("on_disconnect: %s, streaming %t: the abort failed:\n%s", onDisconnect, streaming, log())
			}
			testkit.EventuallyWithin(t, 10*time.Second, "place for the next request", func() bool {
				return send(t, g.URL, ask(l.flows.twoSteps, unique(), key)).status == http.StatusOK
			})
		}
	}
}

// countedUsage compares what the gate counts with what Flowise has stored.
func countedUsage(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen, l.flows.llmOpen)
	keys.set(t, "client", "limits: {requests: 4/month}")
	g := l.serve(t, keys.path)

	questions := map[string]string{}
	for n, chatflow := range []string{l.flows.fnOpen, l.flows.llmOpen, l.flows.llmOpen} {
		q := unique()
		questions[q] = chatflow
		if n == 2 {
			openStream(t, g.URL, streamed(ask(chatflow, q, key), uuid())).rest(t)
		} else if got := send(t, g.URL, ask(chatflow, q, key)); got.status != http.StatusOK {
			t.Fatalf("prediction = %v", got)
		}
	}
	wrong := ask(l.flows.fnOpen, unique(), "no-key-of-this-gate-0123456")
	wantProblem(t, wrong, send(t, g.URL, wrong), http.StatusUnauthorized, "invalid_key")
	if got := send(t, g.URL, request{method: http.MethodGet, path: "/api/v1/chatflows-uploads/" + l.flows.fnOpen, key: key}); got.status != http.StatusOK {
		t.Fatalf("chatflows-uploads = %v", got)
	}
	refused := ask(l.flows.fnOpen, unique(), key)
	wantProblem(t, refused, send(t, g.URL, refused), http.StatusTooManyRequests, "quota_exceeded")

	for q, chatflow := range questions {
		if !l.flowise.asked(t, chatflow, q) {
			t.Errorf("Flowise has not stored the question %s", q)
		}
	}
	l.neverRan(t, l.flows.fnOpen, refused.body.(map[string]any)["question"].(string))
	out := keys.command(t, "usage", "--admin", strings.TrimPrefix(g.Admin, "http://"), "--csv")
	month := time.Now().UTC().Format("2006-01")
	rows := strings.Split(strings.TrimSpace(out), "\n")
	for _, want := range []string{
		month + ",key,client,4,1,",
		fmt.Sprintf("%s,chatflow,%s,2,", month, l.flows.fnOpen), // and perhaps the refusal
		fmt.Sprintf("%s,chatflow,%s,2,", month, l.flows.llmOpen),
	} {
		if !slices.ContainsFunc(rows, func(row string) bool { return strings.HasPrefix(row, want) }) {
			t.Errorf("usage has no row %s:\n%s", want, out)
		}
	}
	if own := send(t, g.URL, request{method: http.MethodGet, path: "/-/key", key: key}); !strings.Contains(string(own.body), `"limit":"requests: 4/month","of":4,"used":4,"left":0`) {
		t.Errorf("the key's own view = %v, want all four used", own)
	}
}
