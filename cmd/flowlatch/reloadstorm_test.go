package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

const (
	stormEvery   = 10 * time.Millisecond // between two changes
	stormClients = 4
)

// keyFileVersion returns version n of the key file: the keys of the gate, and one that no other version has.
func (g *gate) keyFileVersion(n int) string {
	file := strings.Replace(g.keyFile(), "chatflows:", "  - id: changing\n    sha256: "+keystore.DigestOf(versionSecret(n)).String()+"\nchatflows:", 1)
	return strings.Replace(file, "[batch]", "[batch, changing]", 1)
}

func versionSecret(n int) string { return fmt.Sprintf("secret-of-version-%d", n) }

// TestReloadStorm changes the key file a hundred times a second, by rename and in place in turn, while requests go on.
// No request may fail, each change must be applied, and nothing may be left over. "make bench-keys" has a longer storm.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	changes := 20
	if testkit.Long() {
		changes = 500
	}
	g := startMeasuredGate(t, newEcho(), nil, nil)
	g.storm(t, 1, 10) // so that what is made once and kept is there before the measurement
	before := g.held(t)

	generation := g.metric(t, "flowlatch_keys_generation")
	g.storm(t, 11, changes)

	if got := g.metric(t, "flowlatch_keys_generation") - generation; got != changes {
		t.Errorf("generations of %d changes = %d, want as many", changes, got)
	}
	if got := g.metric(t, `flowlatch_keys_reloads_total{result="failure"}`); got != 0 {
		t.Errorf("failed reloads of valid key files = %d, want 0", got)
	}
	last := 10 + changes
	if res := g.predict(t, batchChatflow, versionSecret(last)); res.status != http.StatusOK {
		t.Errorf("predict with the key of the last version = %d, want 200", res.status)
	}
	if res := g.predict(t, batchChatflow, versionSecret(last-1)); res.code() != "invalid_key" {
		t.Errorf("predict with the key of the version before = %d %q, want invalid_key", res.status, res.code())
	}
	g.wantReleased(t, before)
	g.WantExit(t, syscall.SIGTERM)
}

// storm makes n changes from version first on, each applied before the next, while requests go on.
func (g *gate) storm(t *testing.T, first, n int) {
	t.Helper()
	client := &http.Client{Timeout: testkit.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: stormClients}}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var sent atomic.Int64
	for range stormClients {
		clients.Go(func() {
			tick := time.NewTicker(4 * stormEvery)
			defer tick.Stop()
			for {
				if err := g.predictOver(client); err != nil {
					t.Errorf("predict during the storm: %v", err)
					return
				}
				sent.Add(1)
				select {
				case <-stop:
					return
				case <-tick.C:
				}
			}
		})
	}
	defer client.CloseIdleConnections()
	defer clients.Wait()
	defer close(stop)
	tick := time.NewTicker(stormEvery)
	defer tick.Stop()
	for version := first; version < first+n; version++ {
		<-tick.C
		if version%2 == 0 {
			testkit.ReplaceFile(t, g.Keys, g.keyFileVersion(version))
		} else if err := os.WriteFile(g.Keys, []byte(g.keyFileVersion(version)), 0o600); err != nil {
			t.Fatal(err)
		}
		if res := send(t, http.MethodPost, g.Admin+"/-/reload", "", ""); res.status != http.StatusOK {
			t.Fatalf("reload of version %d = %d %s, want 200", version, res.status, res.body)
		}
	}
	if got := sent.Load(); got < stormClients {
		t.Errorf("requests during %d changes = %d, want at least %d", n, got, stormClients)
	}
}

// predictOver asks for a prediction with the key that all versions have, over connections that are kept.
func (g *gate) predictOver(client *http.Client) error {
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
		err = fmt.Errorf("response %d %q, want 200 %q", res.StatusCode, body, question)
	}
	return err
}
