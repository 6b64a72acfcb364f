//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// limitedKeys returns a key file with one key that has these limits, and its secret.
func limitedKeys(limits string) (file, secret string) {
	secret = keystore.Generate()
	return fmt.Sprintf("version: 1\nkeys:\n  - {id: acme-web, sha256: %s, limits: {%s}}\nchatflows:\n  - {id: %s, name: support-bot, keys: [acme-web]}\n",
		keystore.DigestOf(secret), limits, webChatflow), secret
}

// TestLimitsOfThreeGates has three gates that share a Redis, and one key with a quota and at most four requests at
// once. There are never more at the upstream, the quota is exact, and a gate that is killed does not keep its places.
func TestLimitsOfThreeGates(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	const most = 4
	var open, highest, served atomic.Int64
	hold := make(chan struct{})
	defer close(hold)
	upstream := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := open.Add(1)
		defer open.Add(-1)
		for was := highest.Load(); n > was && !highest.CompareAndSwap(was, n); was = highest.Load() {
		}
		body, _ := io.ReadAll(r.Body)
		time.Sleep(5 * time.Millisecond) // as if it did something
		if strings.Contains(string(body), "hold") {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		served.Add(1)
		fmt.Fprint(w, `{"text":"hello"}`)
	})).URL
	keys, secret := limitedKeys(fmt.Sprintf("concurrent: %d, requests: 100000/month", most))
	var gates []*testkit.Gate
	for range 3 {
		g := testkit.Serve(t, testkit.Options{Keys: keys, Upstream: upstream, Args: []string{"--limits-redis", redis.URL(), "--log-allowed=false"}})
		g.AwaitLog(t, "limits and usage are shared through Redis")
		gates = append(gates, g)
	}
	ask := func(g *testkit.Gate, body string) response {
		return send(t, "POST", g.URL+"/api/v1/prediction/"+webChatflow, secret, body)
	}
	var wg sync.WaitGroup
	var refused atomic.Int64
	clients := 30
	if testkit.Long() {
		clients = 90
	}
	for n := range clients {
		wg.Go(func() {
			for range 5 {
				if ask(gates[n%3], `{"question":"x"}`).code() == "too_many_concurrent" {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := highest.Load(); got > most {
		t.Errorf("at once at the upstream = %d, want at most %d", got, most)
	}
	t.Logf("%d served, %d refused, %d at once", served.Load(), refused.Load(), highest.Load())
	var usage response
	want := fmt.Sprintf(`"requests": %d,`, served.Load())
	if !testkit.Poll(testkit.Timeout, func() bool {
		usage = send(t, "GET", gates[1].Admin+"/usage", "", "")
		return strings.Count(usage.body, want) == 2 // of the key and of the chatflow
	}) {
		t.Errorf("usage = %s, want %s", usage.body, want)
	}
	code, out, stderr := finish(t, "usage", "--admin", strings.TrimPrefix(gates[2].Admin, "http://"), "--key", "acme-web", "--csv")
	if line := fmt.Sprintf("%s,key,acme-web,%d,", time.Now().UTC().Format("2006-01"), served.Load()); code != exitOK || !strings.Contains(out, line) {
		t.Errorf("flowlatch usage = %d, %q, %q, want a line %q", code, out, stderr, line)
	}

	// Redis hangs: requests are still served, and the log says so once. The requests that other gates had open when
	// this gate last heard of them count until their lease ends, so this gate must first hear that they have ended.
	testkit.Eventually(t, "places given back", func() bool { return ask(gates[0], `{"question":"x"}`).status == http.StatusOK })
	redis.Signal(t, syscall.SIGSTOP)
	gates[0].AwaitLog(t, "Redis does not answer; limits hold by --limits-fallback until it does, and usage is kept here meanwhile")
	if res := ask(gates[0], `{"question":"x"}`); res.status != http.StatusOK {
		t.Errorf("request while Redis hangs = %d %s, want 200", res.status, res.body)
	}
	if m := send(t, "GET", gates[0].Admin+"/metrics", "", "").body; !strings.Contains(m, "flowlatch_limits_degraded 1") || !strings.Contains(m, "flowlatch_limits_backend_up 0") {
		t.Error("metrics do not say that limits hold by the fallback")
	}
	redis.Signal(t, syscall.SIGCONT)
	testkit.Eventually(t, "Redis is back", func() bool { return len(gates[0].Logged(t, "limits and usage are shared through Redis")) == 2 })

	if !testkit.Long() { // a lease lasts 30 s; TestRedisLease has a shorter one
		return
	}
	before := open.Load()
	for range most {
		go func() {
			req, _ := http.NewRequest("POST", gates[0].URL+"/api/v1/prediction/"+webChatflow, strings.NewReader(`{"question":"hold"}`))
			req.Header.Set("Authorization", "Bearer "+secret)
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		}()
	}
	testkit.Eventually(t, "all places taken", func() bool { return open.Load() == before+most })
	gates[0].Signal(t, syscall.SIGKILL)
	if res := ask(gates[1], `{"question":"x"}`); res.code() != "too_many_concurrent" {
		t.Errorf("request after a gate was killed = %d %s, want its places taken until its lease is over", res.status, res.body)
	}
	testkit.Eventually(t, "places of the gate that was killed", func() bool { return ask(gates[1], `{"question":"x"}`).status == http.StatusOK })
}

// TestUsageFile restarts a gate with a usage file: its quota continues. An invalid file is an error.
func TestUsageFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "usage.json")
	keys, secret := limitedKeys("requests: 2/month")
	upstream := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })).URL
	for _, want := range [][]string{{"", ""}, {"quota_exceeded"}} {
		g := testkit.Serve(t, testkit.Options{Keys: keys, Upstream: upstream, Args: []string{"--usage-file", path}})
		for n, code := range want {
			if res := send(t, "POST", g.URL+"/api/v1/prediction/"+webChatflow, secret, "{}"); res.code() != code {
				t.Errorf("request %d = %d %s, want %q", n+1, res.status, res.body, code)
			}
		}
		for since, shown := range map[string]bool{"90d": true, "2020-01-01": true, "2200-01-01": false} {
			_, out, stderr := finish(t, "usage", "--admin", strings.TrimPrefix(g.Admin, "http://"), "--since", since)
			if got := strings.Contains(out, "acme-web"); got != shown {
				t.Errorf("flowlatch usage --since %s = %q, %q, want the key in it: %t", since, out, stderr, shown)
			}
		}
		for key, want := range map[string]string{
			"acme-wep": `--key: the gate at ` + strings.TrimPrefix(g.Admin, "http://") + `: there is no key "acme-wep"; did you mean acme-web?`,
			secret:     `this is the secret of key "acme-web", which is named by its ID`,
		} {
			code, out, stderr := finish(t, "usage", "--admin", strings.TrimPrefix(g.Admin, "http://"), "--key", key)
			if code != exitFailed || out != "" || !strings.Contains(stderr, want) {
				t.Errorf("flowlatch usage --key %s = %d, %q, %q, want %q", key, code, out, stderr, want)
			}
		}
		g.WantExit(t, syscall.SIGTERM)
	}
	if err := os.WriteFile(path, []byte(`{"version": 1, "usage": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := finish(t, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", testkit.WriteFile(t, "keys.yaml", keys), "--usage-file", path)
	if code != exitFailed || !strings.Contains(stderr, "is not valid") || !strings.Contains(stderr, "move it away") {
		t.Errorf("serve with half a usage file = %d, %q, want an error that says what to do", code, stderr)
	}
}
