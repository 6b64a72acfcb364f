package limit_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// Tests of clusters do not run in parallel with others, whose connections could take their ports.

// TestRedisCluster starts two gates and a Redis Cluster of two nodes. The gates are given the node that does not have the
// counters.
func TestRedisCluster(t *testing.T) {
	if !testkit.Long() { // a cluster takes two seconds to start
		return
	}
	first, _ := startNode(t)
	second, other := startNode(t)
	command(t, first, "CLUSTER ADDSLOTSRANGE 0 8191\r\n")
	command(t, second, "CLUSTER ADDSLOTSRANGE 8192 16383\r\n")
	command(t, first, fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %d\r\n", other.data, other.bus))
	c := client(t, first)
	testkit.Eventually(t, "a cluster", func() bool {
		info, _ := redis.String(c.Do("CLUSTER", "INFO"))
		return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
	})

	url := parseURL(t, "redis://127.0.0.1:"+strconv.Itoa(other.data)) // the counters are in slot 3238, of the first
	var all []*gate
	for range 2 {
		g := runGate(t, url, patient)
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
	var (
		got []limit.Usage
		err error
	)
	if !testkit.Poll(testkit.Timeout, func() bool {
		got, err = all[0].Usage(t.Context(), time.Now())
		return err == nil && cmp.Equal(want, got)
	}) {
		t.Errorf("Usage: %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
}

// TestRedisFailOver stops the node of a Redis Cluster that has the counters, and which is the only one that the gate was
// given. Another node takes over, and the gate goes on counting there.
func TestRedisFailOver(t *testing.T) {
	if !testkit.Long() { // it takes seconds until another node takes over
		return
	}
	var nodes []*testkit.Redis
	var at []ports
	for n := range 4 {
		node, p := startNode(t, "--cluster-node-timeout", "1000")
		nodes, at = append(nodes, node), append(at, p)
		if n > 0 {
			tell(t, nodes[0], fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %d", p.data, p.bus))
		}
	}
	tell(t, nodes[0], "CLUSTER ADDSLOTSRANGE 0 16381") // the counters are in slot 3238
	tell(t, nodes[1], "CLUSTER ADDSLOTSRANGE 16382 16382")
	tell(t, nodes[2], "CLUSTER ADDSLOTSRANGE 16383 16383")
	info := func(node *testkit.Redis, section string) string {
		text, _ := redis.String(tell(t, node, section), nil)
		return text
	}
	for _, node := range nodes {
		testkit.EventuallyWithin(t, 20*time.Second, "a cluster", func() bool {
			return strings.Contains(info(node, "CLUSTER INFO"), "cluster_state:ok") && strings.Contains(info(node, "CLUSTER INFO"), "cluster_known_nodes:4")
		})
	}
	tell(t, nodes[3], "CLUSTER REPLICATE "+info(nodes[0], "CLUSTER MYID"))
	testkit.EventuallyWithin(t, 20*time.Second, "a replica", func() bool { return strings.Contains(info(nodes[3], "INFO replication"), "master_link_status:up") })

	g := runGate(t, parseURL(t, "redis://127.0.0.1:"+strconv.Itoa(at[0].data)), patient)
	g.awaitUp(t, true)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 1000/day")}}
	sent := int64(0)
	send := func() {
		var grant limit.Grant
		g.Begin(&grant, holders, time.Now())
		g.End(&grant, limit.Use{})
		sent++
	}
	send()
	nodes[0].Kill()
	g.awaitUp(t, false)
	send()
	testkit.EventuallyWithin(t, 30*time.Second, "that another node answers", g.Up)
	send()
	exactQuota(t, []*gate{g}, holders, sent)
	c := client(t, nodes[3])
	if keys, err := redis.Strings(c.Do("KEYS", "fl:*:day:*")); err != nil || len(keys) != 1 {
		t.Errorf("counters of the node that took over = %q, %v, want one", keys, err)
	}
}

type ports struct{ data, bus int }

func startNode(t *testing.T, args ...string) (*testkit.Redis, ports) {
	t.Helper()
	free := freePorts(t, 2)
	p := ports{free[0], free[1]}
	return testkit.StartRedis(t, append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(p.data), "--cluster-enabled", "yes",
		"--cluster-port", strconv.Itoa(p.bus),
	}, args...)...), p
}

// freePorts returns ports that were free a moment ago.
func freePorts(t *testing.T, n int) (free []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // after the loop, so that no port comes twice
		free = append(free, l.Addr().(*net.TCPAddr).Port)
	}
	return free
}
