//go:build bench

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// load is what wrk saw.
type load struct {
	Requests                              float64
	Duration                              float64 // µs
	P50, P99                              float64 // µs
	Connect, Read, Write, Status, Timeout float64 // errors; Status are answers from 400
}

// script has wrk send requests one after the other and print what it saw as JSON.
const script = `local n, i = #requests, 0
request = function() i = i %% n + 1; return requests[i] end
done = function(s, latency)
	io.write(string.format('{"requests":%%d,"duration":%%d,"p50":%%d,"p99":%%d,"connect":%%d,"read":%%d,"write":%%d,"status":%%d,"timeout":%%d}\n',
		s.requests, s.duration, latency:percentile(50), latency:percentile(99),
		s.errors.connect, s.errors.read, s.errors.write, s.errors.status, s.errors.timeout))
end
`

// hammer has wrk send requests over keep-alive connections, each connection the next when it has its answer.
func hammer(ctx context.Context, dir, addr string, connections int, d time.Duration, requests []string) (l load, err error) {
	var lua strings.Builder
	lua.WriteString("local requests = {\n")
	for _, r := range requests {
		fmt.Fprintf(&lua, "%s,\n", strconv.Quote(r)) // of these characters, Lua understands Go's
	}
	fmt.Fprintf(&lua, "}\n"+script)
	path := filepath.Join(dir, "load.lua")
	if err := os.WriteFile(path, []byte(lua.String()), 0o600); err != nil {
		return l, err
	}
	p, err := start(ctx, coreOfRest, dir, "wrk", "wrk", "-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", int(d.Seconds())), "--timeout", "10s",
		"-s", path, "http://"+addr+"/")
	if err != nil {
		return l, err
	}
	defer p.end()
	select {
	case <-p.ended:
	case <-ctx.Done():
		return l, ctx.Err()
	}
	out := p.tail()
	at := strings.LastIndex(out, `{"requests"`)
	if at < 0 {
		return l, fmt.Errorf("wrk says nothing of what it did:\n%s", out)
	}
	return l, json.Unmarshal([]byte(out[at:]), &l)
}

// faults returns what went wrong. What should be refused must be, and else nothing.
func (l load) faults(refused bool) error {
	var errs []error
	if n := l.Connect + l.Read + l.Write + l.Timeout; n > 0 {
		errs = append(errs, fmt.Errorf("of %.0f requests %.0f got no answer", l.Requests, n))
	}
	if refused && l.Status != l.Requests {
		errs = append(errs, fmt.Errorf("of %.0f requests that should be refused %.0f were", l.Requests, l.Status))
	}
	if !refused && l.Status > 0 {
		errs = append(errs, fmt.Errorf("of %.0f requests %.0f failed", l.Requests, l.Status))
	}
	if l.Requests == 0 {
		errs = append(errs, errors.New("there was no answer at all"))
	}
	return errors.Join(errs...)
}
