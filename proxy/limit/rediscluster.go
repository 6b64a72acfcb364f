package limit

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// servers finds the server that has the counters: the only one, or one node of a Redis Cluster.
type servers struct {
	url     *RedisURL
	timeout time.Duration // for a reply
	scripts []*redis.Script
	nodes   []string // addresses of the cluster's nodes, as last reported: if one is gone, another one is asked
}

// maxNodes is how many node addresses of a cluster are kept. Every node knows which one has the counters.
const maxNodes = 16

// connect connects to the server that has the counters, with the scripts loaded.
func (s *servers) connect(ctx context.Context) (redis.Conn, error) {
	c, err := s.find(ctx, s.url.address)
	for _, node := range s.nodes {
		if c != nil {
			break
		}
		c, _ = s.find(ctx, node)
	}
	if c == nil {
		return nil, err // the error of the address that the operator set
	}
	for _, script := range s.scripts {
		if err := script.Load(c); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	if nodes, err := redis.String(c.Do("CLUSTER", "NODES")); err == nil { // else it is not a cluster
		s.nodes = nodeAddresses(nodes)
	}
	return c, nil
}

// find connects to the server at an address, or to the node of a cluster that it names instead.
func (s *servers) find(ctx context.Context, address string) (c redis.Conn, err error) {
	for range 3 {
		if c, err = s.url.dial(ctx, address, s.timeout); err != nil {
			return nil, err
		}
		if _, err = c.Do("EXISTS", gatesKey); err == nil {
			return c, nil
		}
		_ = c.Close()
		to, isMoved := movedTo(err, address)
		if !isMoved {
			break
		}
		address = to
	}
	return nil, err
}

// movedTo returns the address of the node that has the counters, if the error is a redirect: MOVED slot host:port. If
// host is empty, the node is on the host that was asked.
func movedTo(err error, asked string) (address string, isMoved bool) {
	words := strings.Fields(err.Error())
	if len(words) != 3 || words[0] != "MOVED" {
		return "", false
	}
	host, port := hostPort(words[2])
	if host == "" {
		host, _ = hostPort(asked)
	}
	return net.JoinHostPort(host, port), true
}

// nodeAddresses returns the addresses in a reply to CLUSTER NODES, whose lines have host:port@port as their second word.
func nodeAddresses(nodes string) (addresses []string) {
	for line := range strings.Lines(nodes) {
		words := strings.Fields(line)
		if len(words) < 2 || len(addresses) == maxNodes {
			continue
		}
		address, _, _ := strings.Cut(words[1], "@")
		address = net.JoinHostPort(hostPort(address))
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// hostPort splits an address as Redis writes it, where IPv6 addresses have no brackets.
func hostPort(address string) (host, port string) {
	colon := strings.LastIndexByte(address, ':')
	return strings.Trim(address[:max(colon, 0)], "[]"), address[colon+1:]
}

// isElsewhere reports whether an error means that the gate must look for the counters again: they are on another node of
// the cluster, this server has become a replica, or it has forgotten the scripts.
func isElsewhere(err redis.Error) bool {
	text := string(err)
	return strings.HasPrefix(text, "MOVED ") || strings.HasPrefix(text, "NOSCRIPT ") || strings.Contains(text, "READONLY ") // Redis 6 puts words before it
}
