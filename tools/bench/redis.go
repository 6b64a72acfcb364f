//go:build bench

package main

import (
	"context"
	"net"
	"path/filepath"
	"time"
)

// startRedis starts a redis-server that keeps nothing on disk, on the core of clients and upstream, behind the socket "redis" in dir.
func startRedis(ctx context.Context, dir string) (*process, error) {
	binary, err := lookPath("redis-server")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "redis")
	p, err := start(ctx, coreOfRest, dir, binary, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no")
	if err != nil {
		return nil, err
	}
	err = p.wait(ctx, 10*time.Second, 5*time.Millisecond, "connection to redis-server", func() (bool, error) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
	if err != nil {
		p.end()
	}
	return p, err
}
