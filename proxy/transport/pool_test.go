package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestCloseIdleConnections closes connections in each of their states. None that was opened before serves a request after
// it.
func TestCloseIdleConnections(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		url, connections := n.serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
		})
		own := n.own(t)
		get := func(want int64) {
			t.Helper()
			if got, err := send(t, own, "GET", url, ""); err != nil || len(got) != 100_000 {
				t.Fatalf("response = %d bytes, %v, want 100000", len(got), err)
			}
			if got := connections.Load(); got != want {
				t.Errorf("connections = %d, want %d", got, want)
			}
		}
		get(1)
		get(1)
		own.CloseIdleConnections()
		if got := idle(own); got != 0 {
			t.Errorf("idle connections = %d, want 0", got)
		}
		get(2)

		req, _ := http.NewRequest("GET", url, nil)
		res, err := own.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		own.CloseIdleConnections() // the response is still being read
		if body, err := io.ReadAll(res.Body); err != nil || len(body) != 100_000 {
			t.Errorf("response = %d bytes, %v, want 100000", len(body), err)
		}
		get(3)
		get(3)

		own.CloseIdleConnections()
		dial := own.Dial
		own.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			own.CloseIdleConnections() // the connection is still being opened
			return c, err
		}
		get(4)
		own.Dial = dial
		get(5)
		get(5)
	})
}

func TestKeepFor(t *testing.T) {
	for keepAlive, want := range map[string]time.Duration{
		"timeout=5":            4 * time.Second,
		"timeout=2":            time.Second,
		"timeout=1":            500 * time.Millisecond,
		"timeout=0":            0,
		"max=100, timeout=65":  30 * time.Second,
		`Timeout="10", max=5`:  9 * time.Second,
		"":                     defaultKeep,
		"max=5":                defaultKeep,
		"timeout=soon":         defaultKeep,
		"timeout=-1":           defaultKeep,
		"timeout=99999999999":  defaultKeep,
		"timeout=5, timeout=9": 4 * time.Second,
	} {
		if got := keepFor(keepAlive); got != want {
			t.Errorf("keepFor(%q) = %v, want %v", keepAlive, got, want)
		}
	}
}

// TestIdleConnectionsExpire checks that connections expire when the server's Keep-Alive header asks for it.
func TestIdleConnectionsExpire(t *testing.T) {
	for keepAlive, want := range map[string]time.Duration{
		"":            time.Second,
		"timeout=1":   500 * time.Millisecond,
		"timeout=5":   4 * time.Second,
		"timeout=600": 30 * time.Second,
	} {
		t.Run(keepAlive, func(t *testing.T) {
			header := ""
			if keepAlive != "" {
				header = "Keep-Alive: " + keepAlive + "\r\n"
			}
			synctest.Test(t, func(t *testing.T) {
				closed := make(chan time.Time)
				own := &Transport{Dial: func(context.Context, string, string) (net.Conn, error) {
					c, server := net.Pipe()
					go func() {
						r := bufio.NewReader(server)
						_, _ = http.ReadRequest(r)
						_, _ = io.WriteString(server, "HTTP/1.1 204 No Content\r\n"+header+"\r\n")
						_, _ = r.ReadByte()
						closed <- time.Now()
					}()
					return c, nil
				}}
				if _, err := send(t, own, "GET", "http://server", ""); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if got := (<-closed).Sub(began); got != want {
					t.Errorf("closed after %v, want %v", got, want)
				}
				if got := idle(own); got != 0 {
					t.Errorf("idle connections = %d, want 0", got)
				}
			})
		})
	}
}

// TestExpiredConnectionIsNotUsed asks for a connection while an expired one has not been swept yet.
func TestExpiredConnectionIsNotUsed(t *testing.T) {
	c, server := net.Pipe()
	defer server.Close()
	var p pool
	if !p.put(newConn(c, 0)) {
		t.Fatal("put = false, want true")
	}
	if got, _ := p.get(time.Now().Add(defaultKeep)); got != nil {
		t.Error("get = the expired connection, want nil")
	}
}

func TestPoolIsBounded(t *testing.T) {
	var p pool
	for i := range maxIdle + 1 {
		c, server := net.Pipe()
		defer server.Close()
		if got := p.put(newConn(c, 0)); got != (i < maxIdle) {
			t.Errorf("put = %t after %d others, want %t", got, i, i < maxIdle)
		}
	}
	p.closeAll()
}
