//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

const (
	atOnce     = 8   // callers while throughput is measured
	wrongRate  = 500 // requests a second with wrong keys
	maxWaiting = 2000
)

// runner is a real Flowise, with an operator logged in to it.
type runner struct {
	*process
	version, url string
	admin        *http.Client
	header       map[string]string // what makes the admin's calls those of Flowise's own UI

	key         string // of Flowise itself
	open, keyed string // chatflows that answer without a model; keyed wants Flowise's key
}

// caller asks one chatflow over one way.
type caller struct {
	client *http.Client
	url    string // with the chatflow
	token  string
}

// flowise compares a chatflow behind Flowise's own check with one behind flowlatch.
func flowise(ctx context.Context, o *options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "flowlatch-flowise-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := o.binary
	if binary == "" {
		if binary, err = build(ctx, dir); err != nil {
			return err
		}
	}
	// The callers must not take Flowise's core.
	if text, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", coreOfProxy, fmt.Sprint(os.Getpid())).CombinedOutput(); err != nil {
		return fmt.Errorf("pinning the callers: %w\n%s", err, text)
	}
	fmt.Fprintf(out, "%s, Node %s. Flowise on one core, flowlatch and callers on the other.\n", machine(), version(ctx, "node", "--version"))
	fmt.Fprintf(out, "Turns: %d, of %s for each load; median, and the range in parentheses. The chatflow is a function without a model.\n\n", o.turns, o.duration)
	var failed []error
	for v := range strings.SplitSeq(o.versions, ",") {
		sub := filepath.Join(dir, v)
		if err := os.Mkdir(sub, 0o700); err != nil {
			return err
		}
		faults, err := flowiseVersion(ctx, o, out, v, sub, absolute(binary))
		if err != nil {
			return fmt.Errorf("with Flowise %s: %w", v, err)
		}
		if faults != nil {
			failed = append(failed, fmt.Errorf("with Flowise %s: %w", v, faults))
		}
	}
	return errors.Join(failed...)
}

func flowiseVersion(ctx context.Context, o *options, out io.Writer, v, dir, binary string) (faults, err error) {
	f, err := startFlowise(ctx, v, dir)
	if err != nil {
		return nil, err
	}
	defer f.end()
	if err := f.seed(ctx); err != nil {
		return nil, err
	}
	token := keystore.Generate()
	gate, addr, err := gateBefore(ctx, f, dir, binary, token)
	if err != nil {
		return nil, err
	}
	defer gate.end()
	newClient := func() *http.Client {
		return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: maxWaiting, IdleConnTimeout: 3 * time.Second}}
	}
	own := caller{newClient(), f.url + "/api/v1/prediction/" + f.keyed, f.key}
	gated := caller{newClient(), "http://" + addr + "/api/v1/prediction/" + f.open, token}

	bare := caller{newClient(), f.url + "/api/v1/prediction/" + f.open, ""}

	for _, c := range []caller{own, gated, bare} { // what is asked for the first time is compiled first
		_, err := c.throughput(ctx, o.duration)
		faults = errors.Join(faults, err)
	}
	var bareRate, ownRate, gatedRate, ratio, quiet, stormy, slower, refusedRate []float64
	for turn := range o.turns {
		progress("Flowise %s, turn %d of %d", v, turn+1, o.turns)
		a, err := own.throughput(ctx, o.duration)
		faults = errors.Join(faults, err)
		b, err := gated.throughput(ctx, o.duration)
		faults = errors.Join(faults, err)
		n, err := bare.throughput(ctx, o.duration)
		faults = errors.Join(faults, err)
		bareRate = append(bareRate, n)
		ownRate, gatedRate, ratio = append(ownRate, a), append(gatedRate, b), append(ratio, b/a)

		q, err := gated.median(ctx, o.duration)
		faults = errors.Join(faults, err)
		storm := startStorm(caller{newClient(), gated.url, ""}, http.StatusUnauthorized)
		s, err := gated.median(ctx, o.duration)
		rate, stormErr := storm.end()
		faults = errors.Join(faults, err, stormErr)
		quiet, stormy, slower, refusedRate = append(quiet, q), append(stormy, s), append(slower, s/q), append(refusedRate, rate)
		if ctx.Err() != nil {
			return faults, ctx.Err()
		}
	}
	// Flowise itself last, and once: what it is left with takes minutes.
	progress("Flowise %s, its own check and wrong keys", v)
	ownQuiet, err := own.median(ctx, o.duration)
	faults = errors.Join(faults, err)
	storm := startStorm(caller{newClient(), own.url, ""}, 0)
	within, cancel := context.WithTimeout(ctx, max(20*time.Second, o.duration))
	began := time.Now()
	ownStormy, err := own.median(within, o.duration)
	cancel()
	storm.abandon()
	flowiseStorm := spreadOf([]float64{ownStormy}).String() + " ms"
	if err != nil {
		flowiseStorm = fmt.Sprintf("no answer within %.0f s", time.Since(began).Seconds())
	}

	t := table{{"Flowise " + v, "bar", "measured", ""}}
	t.add(fmt.Sprintf("requests/s, %d callers, its own check", atOnce), "", spreadOf(ownRate).String(), "")
	t.add("through flowlatch, its key taken off", "", spreadOf(gatedRate).String(), "")
	t.add("asked directly, without any check", "", spreadOf(bareRate).String(), "")
	s := spreadOf(ratio)
	t.add("ratio of the second to the first", ">= 4×", s.String()+"×", verdict(s.median >= 4))
	t.add("honest caller's median through flowlatch, quiet", "", spreadOf(quiet).String()+" ms", "")
	t.add(fmt.Sprintf("while %d wrong keys/s arrive (%s/s were refused)", wrongRate, number(spreadOf(refusedRate).median)), "", spreadOf(stormy).String()+" ms", "")
	s = spreadOf(slower)
	t.add("ratio", "<= 1.5×", s.String()+"×", verdict(s.median <= 1.5))
	t.add("the same at Flowise itself, once: quiet", "", spreadOf([]float64{ownQuiet}).String()+" ms", "")
	t.add(fmt.Sprintf("while %d wrong keys/s arrive", wrongRate), "", flowiseStorm, "")
	t.print(out)
	return faults, nil
}

// gateBefore starts flowlatch before a Flowise, with one key for the open chatflow.
func gateBefore(ctx context.Context, f *runner, dir, binary, token string) (*process, string, error) {
	keys := filepath.Join(dir, "keys.yaml")
	text := fmt.Sprintf("version: 1\nkeys:\n  - {id: honest, sha256: %s}\nchatflows:\n  - {id: %s, keys: [honest]}\n", keystore.DigestOf(token), f.open)
	if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	gate, err := start(ctx, coreOfProxy, dir, "flowlatch", binary, "serve", "--listen", addr, "--admin", "127.0.0.1:0", "--keys", keys, "--upstream", f.url, "--failure-limit", "off")
	if err != nil {
		return nil, "", err
	}
	err = gate.wait(ctx, time.Minute, 10*time.Millisecond, "ready", func() (bool, error) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil, err
	})
	if err != nil {
		gate.end()
		return nil, "", err
	}
	return gate, addr, nil
}

// startFlowise starts an installed version with an empty database, and installs it first where it is missing.
func startFlowise(ctx context.Context, v, dir string) (*runner, error) {
	if os.Getenv("FLOWISE_CACHE") == "" { // where the script looks by itself, for a child whose HOME is another
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		if err := os.Setenv("FLOWISE_CACHE", filepath.Join(home, ".cache", "flowlatch-flowise")); err != nil {
			return nil, err
		}
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/flowlatch/flowlatch").Output()
	if err != nil {
		return nil, fmt.Errorf("finding this module: %w", err)
	}
	script := filepath.Join(strings.TrimSpace(string(root)), "deploy", "e2e", "flowise.sh")
	install := exec.CommandContext(ctx, script, "install", v)
	install.Stderr = os.Stderr
	if err := install.Run(); err != nil {
		return nil, fmt.Errorf("installing: %w", err)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	progress("starting Flowise %s", v)
	p, err := start(ctx, coreOfRest, dir, "flowise", script, "run", v, port, filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	f := &runner{process: p, version: v, url: "http://" + addr}
	err = p.wait(ctx, 3*time.Minute, 200*time.Millisecond, "answering: Flowise", func() (bool, error) {
		res, err := controlClient.Get(f.url + "/api/v1/ping")
		if err != nil {
			return false, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return string(body) == "pong", err
	})
	if err != nil {
		p.end()
		return nil, err
	}
	return f, nil
}

// is2 reports whether this is a 2.x, which has basic authentication where 3.x has accounts.
func (f *runner) is2() bool { return strings.HasPrefix(f.version, "2.") }

// seed logs in and makes a key and two chatflows, one of which wants the key.
func (f *runner) seed(ctx context.Context) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	f.admin = &http.Client{Jar: jar, Timeout: time.Minute}
	f.header = map[string]string{"x-request-from": "internal"}
	const user, email, password = "e2e", "e2e@example.com", "Loopback-0nly!"
	if f.is2() {
		req, err := http.NewRequest(http.MethodGet, f.url, nil)
		if err != nil {
			return err
		}
		req.SetBasicAuth(user, password) // as flowise.sh sets them
		f.header["Authorization"] = req.Header.Get("Authorization")
	} else {
		err := errors.Join(
			f.api(ctx, http.MethodPost, "/account/register", map[string]any{"user": map[string]string{"name": user, "email": email, "type": "pro", "credential": password}}, nil),
			f.api(ctx, http.MethodPost, "/auth/login", map[string]string{"email": email, "password": password}, nil),
			f.api(ctx, http.MethodPost, "/apikey", map[string]any{"keyName": "bench", "permissions": []string{"chatflows:view"}}, nil),
		)
		if err != nil {
			return err
		}
	}
	var keys []struct {
		ID     string `json:"id"`
		APIKey string `json:"apiKey"`
	}
	if err := f.api(ctx, http.MethodGet, "/apikey", nil, &keys); err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("there is no API key")
	}
	f.key = keys[0].APIKey
	if f.open, err = f.chatflow(ctx, "open", nil); err != nil {
		return err
	}
	f.keyed, err = f.chatflow(ctx, "keyed", map[string]any{"apikeyid": keys[0].ID})
	return err
}

// chatflow makes a chatflow of one function. The extra columns are set afterwards, as Flowise's UI does.
func (f *runner) chatflow(ctx context.Context, name string, extra map[string]any) (id string, err error) {
	flow, err := json.Marshal(map[string]any{
		"nodes": []any{map[string]any{
			"id": "customFunction_0", "type": "customNode", "data": map[string]any{
				"id": "customFunction_0", "name": "customFunction", "label": "customFunction", "category": "Utilities", "baseClasses": []string{},
				"inputs":      map[string]any{"functionInputVariables": "", "functionName": "echo", "javascriptFunction": "return 'echo: ' + $input"},
				"inputParams": []any{}, "inputAnchors": []any{}, "outputs": map[string]string{"output": "EndingNode"}, "outputAnchors": []any{},
			},
		}},
		"edges": []any{},
	})
	if err != nil {
		return "", err
	}
	var created struct {
		ID string `json:"id"`
	}
	err = f.api(ctx, http.MethodPost, "/chatflows", map[string]any{"name": name, "type": "CHATFLOW", "flowData": string(flow), "deployed": true}, &created)
	if err == nil && extra != nil {
		err = f.api(ctx, http.MethodPut, "/chatflows/"+created.ID, extra, nil)
	}
	return created.ID, err
}

// api makes one call as the operator and decodes the answer into out, unless that is nil.
func (f *runner) api(ctx context.Context, method, path string, body, out any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, f.url+"/api/v1"+path, &content)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range f.header {
		req.Header.Set(name, value)
	}
	res, err := f.admin.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s = %s %.300q, %w", method, path, res.Status, answer, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// ask asks once and returns how long it took. status is what the answer must have, or 0 for any.
func (c caller) ask(ctx context.Context, status int) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(`{"question":"Hello?"}`))
	if err != nil {
		return 0, err
	}
	token := c.token
	if token == "" {
		token = keystore.Generate() // a wrong one, another each time
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	begin := time.Now()
	res, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if status == http.StatusOK && !bytes.Contains(body, []byte("echo: Hello?")) || status != 0 && res.StatusCode != status {
		return 0, fmt.Errorf("answer %d %.300q, want %d", res.StatusCode, body, status)
	}
	return time.Since(begin), nil
}

// throughput returns how many requests a second are answered to some callers at once.
func (c caller) throughput(ctx context.Context, d time.Duration) (float64, error) {
	if _, err := c.ask(ctx, http.StatusOK); err != nil {
		return 0, err
	}
	var mu sync.Mutex // guards answered and failed
	answered, failed := 0, error(nil)
	var wg sync.WaitGroup
	began := time.Now()
	for range atOnce {
		wg.Go(func() {
			for time.Since(began) < d && ctx.Err() == nil {
				_, err := c.ask(ctx, http.StatusOK)
				mu.Lock()
				if err != nil && failed == nil {
					failed = err
				}
				answered++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return float64(answered) / time.Since(began).Seconds(), failed
}

// median returns the median time of the answers to one caller who asks again when answered, in milliseconds.
func (c caller) median(ctx context.Context, d time.Duration) (float64, error) {
	var took []time.Duration
	for began := time.Now(); time.Since(began) < d; {
		t, err := c.ask(ctx, http.StatusOK)
		if err != nil {
			return 0, err
		}
		took = append(took, t)
	}
	slices.Sort(took)
	return float64(took[len(took)/2]) / 1e6, nil
}

// storm is wrong keys that arrive at times fixed beforehand.
type storm struct {
	ctx    context.Context
	cancel context.CancelFunc
	stop   chan struct{}
	done   chan struct{}
	began  time.Time

	mu    sync.Mutex // guards what follows
	sent  int
	fault error
}

func startStorm(c caller, status int) *storm {
	s := &storm{stop: make(chan struct{}), done: make(chan struct{}), began: time.Now()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.run(c, status)
	return s
}

func (s *storm) run(c caller, status int) {
	defer close(s.done)
	var open sync.WaitGroup
	defer open.Wait()
	places := make(chan struct{}, maxWaiting)
	for i := 0; ; i++ {
		if pause(s.ctx, time.Until(s.began.Add(time.Duration(i)*time.Second/wrongRate))) != nil {
			return
		}
		select {
		case <-s.stop:
			return
		case places <- struct{}{}:
		default:
			continue // as many wait as there are places
		}
		open.Go(func() {
			_, err := c.ask(s.ctx, status)
			<-places
			s.mu.Lock()
			defer s.mu.Unlock()
			if err == nil {
				s.sent++
			} else if s.fault == nil && s.ctx.Err() == nil {
				s.fault = err
			}
		})
	}
}

// end stops the storm and returns how many were answered a second, and the first that was answered otherwise than it should.
func (s *storm) end() (float64, error) {
	took := time.Since(s.began).Seconds()
	close(s.stop)
	<-s.done
	s.cancel()
	return float64(s.sent) / took, s.fault
}

// abandon ends the storm without waiting for answers.
func (s *storm) abandon() {
	s.cancel()
	<-s.done
}
