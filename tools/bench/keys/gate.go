//go:build bench

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// gate is a serving process.
type gate struct {
	url, admin string
	cmd        *exec.Cmd
	cancel     context.CancelFunc
	log        string // the file with its log
	ended      chan struct{}
	client     *http.Client // for the admin listener
}

// errGone is the end of a gate that should go on.
var errGone = errors.New("the gate has ended")

// startGate starts a gate and waits until it serves.
func startGate(ctx context.Context, binary, keys, upstream string) (*gate, error) {
	child, cancel := context.WithCancel(ctx)
	g := &gate{
		log: filepath.Join(filepath.Dir(keys), "log"), ended: make(chan struct{}), cancel: cancel,
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	log, err := os.Create(g.log)
	if err != nil {
		cancel()
		return nil, err
	}
	defer log.Close()
	g.cmd = exec.CommandContext(child, binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--keys", keys, "--upstream", upstream)
	g.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1"}
	g.cmd.Stderr = log
	if err := g.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		_ = g.cmd.Wait() // the exit code is in ProcessState
		close(g.ended)
	}()
	err = wait(ctx, 30*time.Second, 10*time.Millisecond, "gate that serves", func() (bool, error) {
		if g.over() {
			return false, fmt.Errorf("%w:\n%s", errGone, g.tail())
		}
		return g.serving()
	})
	if err != nil {
		g.kill()
		return nil, err
	}
	return g, nil
}

// serving looks for the addresses in the log.
func (g *gate) serving() (bool, error) {
	b, err := os.ReadFile(g.log)
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(b) {
		var l struct{ Message, Listen, Admin string }
		if json.Unmarshal(line, &l) == nil && l.Message == "serving" {
			g.url, g.admin = "http://"+l.Listen, "http://"+l.Admin
			return true, nil
		}
	}
	return false, nil
}

func (g *gate) over() bool {
	select {
	case <-g.ended:
		return true
	default:
		return false
	}
}

// kill ends the process if it has not ended.
func (g *gate) kill() {
	g.cancel()
	<-g.ended
}

// finish ends the process as an operator does, and wants it to end well.
func (g *gate) finish() error {
	defer g.kill()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%w before it was told to:\n%s", errGone, g.tail())
	}
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	select {
	case <-g.ended:
	case <-timer.C:
		return errors.New("the gate does not end after SIGTERM")
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the gate ended with exit status %d:\n%s", code, g.tail())
	}
	return nil
}

// tail returns the end of the log.
func (g *gate) tail() string {
	b, err := os.ReadFile(g.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-8000):])
}

// metrics reads metrics without labels.
func (g *gate) metrics(names ...string) (map[string]float64, error) {
	res, err := g.client.Get(g.admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	got := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		for _, name := range names {
			if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
				if got[name], err = strconv.ParseFloat(value, 64); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(got) != len(names) {
		return nil, fmt.Errorf("of the metrics %q there are %v", names, got)
	}
	return got, nil
}

// reload has the key file read again.
func (g *gate) reload() (generation uint64, err error) {
	res, err := g.client.Post(g.admin+"/-/reload", "", nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	var r struct{ Generation uint64 }
	if err := json.Unmarshal(body, &r); err != nil || res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("reload = %d %s", res.StatusCode, body)
	}
	return r.Generation, nil
}

// resident returns a field of /proc/PID/status that counts memory, in MiB.
func (g *gate) resident(field string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s of process %d", field, g.cmd.Process.Pid)
}

// descriptors returns how many files, sockets and the like the process has open.
func (g *gate) descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.cmd.Process.Pid))
	return len(entries), err
}

// processor returns the processor time the process has used.
func (g *gate) processor() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name, in parentheses, may have blanks
	return ticks(strings.Fields(rest), 11, 12) // utime and stime of proc(5)
}

// machineProcessor returns the processor time that all programs have used, and what the hypervisor
// kept.
func machineProcessor() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return ticks(strings.Fields(line), 1, 2, 3, 6, 7, 8) // all but idle and iowait
}

// ticks adds fields that count hundredths of a second.
func ticks(fields []string, which ...int) (sum time.Duration, err error) {
	for _, i := range which {
		if i >= len(fields) {
			return 0, fmt.Errorf("no field %d in %q", i, fields)
		}
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum, nil
}

// processorOf returns the processor time of the gate, of this program and of all programs.
func (g *gate) processorOf() (used [3]time.Duration, err error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return used, err
	}
	used[1] = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if used[0], err = g.processor(); err != nil {
		return used, err
	}
	used[2], err = machineProcessor()
	return used, err
}
