package limit_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisCluster has two gates and a Redis Cluster of two nodes.
func TestRedisCluster(t *testing.T) {
	if !testkit.Long() { // a cluster takes two seconds to begin
		return
	}
	t.Parallel()
	first, port := startNode(t)
	second, other := startNode(t)
	command(t, first, "CLUSTER ADDSLOTSRANGE 0 8191\r\n")
	command(t, second, "CLUSTER ADDSLOTSRANGE 8192 16383\r\n")
	command(t, first, fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %d\r\n", other.data, other.bus))
	c := client(t, first)
	testkit.Eventually(t, "a cluster", func() bool {
		info, _ := c.Do(t.Context(), c.B().ClusterInfo().Build()).ToString()
		return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
	})

	o, err := limit.ParseRedisURL("redis://127.0.0.1:" + strconv.Itoa(port.data))
	if err != nil {
		t.Fatal(err)
	}
	var all []*gate
	for range 2 {
		g := runGate(t, o, patient)
		g.awaitUp(t, true)
		all = append(all, g)
	}
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: [3/1h, 100/day], concurrent: 9")}}
	for n, want := range words("ok", "ok", "ok", "rate", "rate") {
		var g limit.Grant
		if got := word(all[n%2].Begin(&g, holders, time.Now())); got != want {
			t.Errorf("request %d = %s, want %s", n+1, got, want)
		}
		all[n%2].End(&g, limit.Use{})
	}
	want := []limit.Usage{{Kind: "key", ID: "a", Period: "month", Start: time.Now().UTC().Format("2006-01") + "-01", Requests: 3, Refused: 2}}
	var got []limit.Usage
	if !testkit.Poll(testkit.Timeout, func() bool {
		got, err = all[0].Usage(t.Context(), time.Now())
		return err == nil && cmp.Equal(want, got)
	}) {
		t.Errorf("Usage: %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
}

type ports struct{ data, bus int }

func startNode(t *testing.T) (*testkit.Redis, ports) {
	t.Helper()
	p := ports{freePort(t), freePort(t)}
	return testkit.StartRedis(t, "--bind", "127.0.0.1", "--port", strconv.Itoa(p.data), "--cluster-enabled", "yes",
		"--cluster-port", strconv.Itoa(p.bus)), p
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
