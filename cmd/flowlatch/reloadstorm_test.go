package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// The storm of the test. `make bench-keys` has a longer one.
const (
	stormChanges = 500
	stormEvery   = 10 * time.Millisecond
	stormCallers = 4
)

// version is the key file of version n: the keys of the gate, and one that no other version has.
func (g *gate) version(n int) string {
	file := strings.Replace(g.keyFile(), "chatflows:", "  - id: changing\n    sha256: "+keystore.DigestOf(versionSecret(n)).String()+"\nchatflows:", 1)
	return strings.Replace(file, "[batch]", "[batch, changing]", 1)
}

func versionSecret(n int) string { return fmt.Sprintf("secret-of-version-%d", n) }

// held is what a process holds.
type held struct{ goroutines, descriptors int }

func (g *gate) held(t *testing.T) (h held) {
	t.Helper()
	h.goroutines = g.metric(t, "go_goroutines")
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.PID()))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // only Linux tells
		t.Fatal(err)
	}
	h.descriptors = len(entries)
	return h
}

// metric reads a metric that is a whole number.
func (g *gate) metric(t *testing.T, name string) int {
	t.Helper()
	for line := range strings.Lines(send(t, http.MethodGet, g.Admin+"/metrics", "", "").body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("metrics have no %s", name)
	return 0
}

// TestReloadStorm changes the key file a hundred times a second, by rename and in place in turn,
// while requests go on: none may fail, each change must come into force, and nothing may be left over.
func TestReloadStorm(t *testing.T) {
	g := startGate(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	g.blow(t, 1, 10) // what is made once and kept is there before it is counted
	before := g.held(t)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); { // connections to the runner are closed after 3 s
		h := g.held(t)
		before.goroutines, before.descriptors = min(before.goroutines, h.goroutines), min(before.descriptors, h.descriptors)
	}

	generation := g.metric(t, "flowlatch_keys_generation")
	g.blow(t, 11, stormChanges)

	if got, want := g.metric(t, "flowlatch_keys_generation")-generation, stormChanges; got != want {
		t.Errorf("generations of %d changes = %d, want as many", want, got)
	}
	if got := g.metric(t, `flowlatch_keys_reloads_total{result="failure"}`); got != 0 {
		t.Errorf("faults found in a key file that has none = %d, want 0", got)
	}
	last := 10 + stormChanges
	if a := g.predict(t, batchChatflow, versionSecret(last)); a.status != http.StatusOK {
		t.Errorf("predict with the key of the last version = %d, want 200", a.status)
	}
	if a := g.predict(t, batchChatflow, versionSecret(last-1)); a.code() != "invalid_key" {
		t.Errorf("predict with the key of the version before = %d %q, want invalid_key", a.status, a.code())
	}
	var after held
	testkit.Eventually(t, fmt.Sprintf("return to %+v", before), func() bool {
		h := g.held(t)
		if after == (held{}) {
			after = h
		}
		after.goroutines, after.descriptors = min(after.goroutines, h.goroutines), min(after.descriptors, h.descriptors)
		return after.goroutines <= before.goroutines && after.descriptors <= before.descriptors
	})
	g.WantExit(t, syscall.SIGTERM)
}

// blow makes n changes from version first on, each put in force before the next, while requests go on.
func (g *gate) blow(t *testing.T, first, n int) {
	t.Helper()
	client := &http.Client{Timeout: testkit.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: stormCallers}}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var sent atomic.Int64
	for range stormCallers {
		callers.Go(func() {
			tick := time.NewTicker(4 * stormEvery)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				if err := g.ask(client); err != nil {
					t.Errorf("predict during the storm: %v", err)
					return
				}
				sent.Add(1)
			}
		})
	}
	defer client.CloseIdleConnections()
	defer callers.Wait()
	defer close(stop)
	tick := time.NewTicker(stormEvery)
	defer tick.Stop()
	for version := first; version < first+n; version++ {
		<-tick.C
		if version%2 == 0 {
			testkit.ReplaceFile(t, g.Keys, g.version(version))
		} else if err := os.WriteFile(g.Keys, []byte(g.version(version)), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := send(t, http.MethodPost, g.Admin+"/-/reload", "", ""); a.status != http.StatusOK {
			t.Fatalf("reload of version %d = %d %s, want 200", version, a.status, a.body)
		}
	}
	if n == stormChanges && sent.Load() == 0 {
		t.Errorf("requests during %d changes = 0, want some", n)
	}
}

// ask asks for a prediction with the key that is in all versions.
func (g *gate) ask(client *http.Client) error {
	const question = `{"question":"Hello?"}`
	req, err := http.NewRequest(http.MethodPost, g.URL+"/api/v1/prediction/"+webChatflow, strings.NewReader(question))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+g.web)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || string(body) != question) {
		err = fmt.Errorf("answer %d %q, want 200 %q", res.StatusCode, body, question)
	}
	return err
}
