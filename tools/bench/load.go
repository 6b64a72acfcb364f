//go:build bench

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// load is what the clients send.
type load struct {
	Port        int
	Connections int           // each sends a request when it has the response to the one before
	For         time.Duration // zero means until it is told to stop
	Rate        int           // requests a second of all connections, at times fixed beforehand; zero means as many as they can
	Requests    []string      // sent one after the other
	Status      int           // which every response must have
	End         string        // with which every response must end
	Events      int           // which every response must have; zero means any number
	Streams     bool          // the responses are event streams, which are held open until the load ends
	Leave       time.Duration // the connection is closed within this time after the request; zero means never
}

// outcome is what the clients saw.
type outcome struct {
	Done   int           // requests with the response that they must have, or left before it as they should be
	Failed int           // the others
	Fault  string        // the first of them
	Took   time.Duration // of the whole load

	// From when a request was due, or an event was, to when its last byte was here.
	P50, P99, Max time.Duration
}

func (o outcome) err(what string) error {
	switch {
	case o.Failed > 0:
		return fmt.Errorf("%s: %d of %d requests failed, the first: %s", what, o.Failed, o.Done+o.Failed, o.Fault)
	case o.Done == 0:
		return fmt.Errorf("%s: no request got a response", what)
	}
	return nil
}

// startClients starts a load. With event streams, it returns when all are open.
func startClients(ctx context.Context, dir string, l load) (*process, error) {
	path := filepath.Join(dir, fmt.Sprintf("load-%d.json", rand.Uint64()))
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	p, err := startSelf(ctx, dir, "clients", path)
	if err == nil && l.Streams {
		_, err = p.says(ctx, "open")
	}
	if err != nil {
		p.end()
	}
	return p, err
}

// finish tells a load to stop, if it has not ended by itself, and returns what the clients saw.
func finish(ctx context.Context, p *process) (saw outcome, err error) {
	defer p.end()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.done(ctx); err != nil {
		return saw, err
	}
	said := p.tail()
	at := strings.LastIndex(said, `{"Done"`)
	if at < 0 {
		return saw, errors.New("the clients say nothing of what they did:\n" + said)
	}
	return saw, json.Unmarshal([]byte(said[at:]), &saw)
}

// send sends a load that ends by itself.
func send(ctx context.Context, dir string, l load) (saw outcome, err error) {
	p, err := startClients(ctx, dir, l)
	if err != nil {
		return saw, err
	}
	defer p.end()
	if err := p.done(ctx); err != nil {
		return saw, err
	}
	return finish(ctx, p)
}
