//go:build bench

// Command oracle measures whether a caller without a valid key can tell by the time of a refusal what the gate
// knows: whether a chatflow is listed, and what is wrong with a key.
//
// It starts a flowlatch built from this tree, sends refused requests of each kind in random order over one
// connection, and compares the times of each kind with those of the first: the chance that a request of
// the kind took longer than one of the first, which is 0.5 if time tells nothing.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

const (
	listed   = "3f1c2a9e-1111-4222-8333-444455556666"
	unlisted = "ffffffff-ffff-4fff-8fff-ffffffffffff"
)

func main() {
	samples := flag.Int("samples", 40000, "requests of each kind")
	flag.Parse()
	if err := run(*samples); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// kind is one kind of refused request.
type kind struct {
	name    string
	request []byte
	times   []float64 // microseconds
}

// group is kinds that must look alike.
type group struct {
	title string
	kinds []*kind
}

func run(samples int) error {
	dir, err := os.MkdirTemp("", "flowlatch-oracle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	secrets := map[string]string{}
	for _, name := range []string{"expired", "disabled", "future"} {
		secrets[name] = keystore.Generate()
	}
	addr, stop, err := serve(dir, secrets)
	if err != nil {
		return err
	}
	defer stop()
	request := func(chatflow, key string) []byte {
		head := "POST /api/v1/prediction/" + chatflow + " HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\nContent-Length: 16\r\n"
		if key != "" {
			head += "Authorization: Bearer " + key + "\r\n"
		}
		return []byte(head + "\r\n" + `{"question":"x"}`)
	}
	groups := []group{
		{"without a key", []*kind{
			{name: "unlisted chatflow", request: request(unlisted, "")},
			{name: "listed chatflow", request: request(listed, "")},
		}},
		{"with a key that is not valid", []*kind{
			{name: "unknown", request: request(listed, keystore.Generate())},
			{name: "unknown, unlisted chatflow", request: request(unlisted, keystore.Generate())},
			{name: "expired", request: request(listed, secrets["expired"])},
			{name: "disabled", request: request(listed, secrets["disabled"])},
			{name: "not valid yet", request: request(listed, secrets["future"])},
			{name: "expired, for another chatflow", request: request(unlisted, secrets["expired"])},
		}},
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Printf("%s, %d CPUs, %d requests of each kind over one connection on loopback\n\n", runtime.Version(), runtime.NumCPU(), samples)
	for _, g := range groups {
		if err := measure(conn, g, samples); err != nil {
			return err
		}
	}
	for _, g := range groups {
		print(g)
	}
	return nil
}

// serve starts a gate and returns where it listens. Its runner does not exist: no request may get that far.
func serve(dir string, secrets map[string]string) (addr string, stop func(), err error) {
	binary, keys := filepath.Join(dir, "flowlatch"), filepath.Join(dir, "keys.yaml")
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/flowlatch").CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("building: %w\n%s", err, out)
	}
	digest := func(name string) string { return keystore.DigestOf(secrets[name]).String() }
	var more strings.Builder
	for i := range 1000 { // a file of a usual size
		fmt.Fprintf(&more, "  - {id: other-%d, sha256: %s}\n", i, keystore.DigestOf(fmt.Sprint(i)))
	}
	content := "version: 1\nkeys:\n" +
		"  - {id: expired, sha256: " + digest("expired") + ", not_after: 2020-01-01T00:00:00Z}\n" +
		"  - {id: disabled, sha256: " + digest("disabled") + ", disabled: true}\n" +
		"  - {id: future, sha256: " + digest("future") + ", not_before: 2200-01-01T00:00:00Z}\n" + more.String() +
		"chatflows:\n  - {id: " + listed + ", name: support-bot, keys: [expired, disabled, future, other-1]}\n"
	if err := os.WriteFile(keys, []byte(content), 0o600); err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	l.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(binary, "serve", "--listen", addr, "--admin", "127.0.0.1:0", "--keys", keys, "--upstream", "http://127.0.0.1:1", "--failure-limit", "off")
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, stop, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("the gate does not listen on %s", addr)
}

// measure sends the requests of a group in random order.
func measure(conn net.Conn, g group, samples int) error {
	r := bufio.NewReader(conn)
	var order []*kind
	for _, k := range g.kinds {
		for range samples {
			order = append(order, k)
		}
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var first []byte
	for i, k := range order {
		begin := time.Now()
		if _, err := conn.Write(k.request); err != nil {
			return err
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		took := time.Since(begin)
		var body bytes.Buffer
		_, _ = body.ReadFrom(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("%s: %s", k.name, res.Status)
		}
		if i == 0 {
			first = body.Bytes()
		}
		if body.Len() != len(first) {
			return fmt.Errorf("%s: the answer has another length than the first", k.name)
		}
		if i > len(order)/20 { // warm
			k.times = append(k.times, float64(took.Nanoseconds())/1e3)
		}
	}
	return nil
}

func print(g group) {
	fmt.Printf("%s\n%-32s %10s %10s %10s   %s\n", g.title, "", "p10 µs", "median µs", "p90 µs", "slower than the first, ± 2 standard errors")
	for _, k := range g.kinds {
		slices.Sort(k.times)
	}
	for i, k := range g.kinds {
		line := fmt.Sprintf("%-32s %10.1f %10.1f %10.1f", k.name, at(k.times, .1), at(k.times, .5), at(k.times, .9))
		if i > 0 {
			p, e := slower(g.kinds[0].times, k.times)
			line += fmt.Sprintf("   %.3f ± %.3f", p, e)
		}
		fmt.Println(line)
	}
	fmt.Println()
}

func at(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }

// slower returns the chance that one of b is larger than one of a, ties counted half, and twice its standard
// error if there is no difference (the Mann-Whitney statistic). Both are sorted.
func slower(a, b []float64) (p, e float64) {
	var wins float64
	below, upTo := 0, 0
	for _, v := range b {
		for below < len(a) && a[below] < v {
			below++
		}
		upTo = max(upTo, below)
		for upTo < len(a) && a[upTo] <= v {
			upTo++
		}
		wins += float64(below) + float64(upTo-below)/2
	}
	n, m := float64(len(a)), float64(len(b))
	return wins / (n * m), 2 * math.Sqrt((n+m+1)/(12*n*m))
}
