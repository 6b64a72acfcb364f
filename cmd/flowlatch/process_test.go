package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something that must happen.
const patience = 15 * time.Second

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("after %s: no %s", patience, what)
		}
	}
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is the program as a user runs it.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{} // closed once it has
}

// raceOptions keep the race detector from adding a second to the end of every process.
const raceOptions = "atexit_sleep_ms=20"

// start starts the program with variables added to an environment that has few.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startProgram(t, binary(t), env, args...)
}

// startProgram starts a build of the program.
func startProgram(t *testing.T, path string, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=" + raceOptions}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("flowlatch %q\nstdout:\n%s\nstderr:\n%s", args, &p.stdout, &p.stderr)
		}
	})
	return p
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", s, err)
	}
}

// wait waits for the end and returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	eventually(t, "end of the process", p.over)
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// finish runs the program to its end.
func finish(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, nil, args...)
	code = p.wait(t)
	return code, p.stdout.String(), p.stderr.String()
}

// logLine is one line of the log.
type logLine map[string]any

// log returns the log so far. What is not one JSON object to a line is an error.
func (p *process) log(t *testing.T) (lines []logLine) {
	t.Helper()
	text := p.stderr.String()
	text = text[:strings.LastIndexByte(text, '\n')+1] // the last line may still be on its way
	for s := range strings.Lines(text) {
		var line logLine
		if err := json.Unmarshal([]byte(s), &line); err != nil {
			t.Fatalf("log line %q: %v, want one JSON object", s, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// logged returns the lines with a message.
func (p *process) logged(t *testing.T, message string) (lines []logLine) {
	t.Helper()
	for _, line := range p.log(t) {
		if line["message"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

// awaitLog waits for the first line with a message. A process that ends instead fails the test.
func (p *process) awaitLog(t *testing.T, message string) logLine {
	t.Helper()
	var lines []logLine
	eventually(t, "log line "+message, func() bool {
		ended := p.over()
		lines = p.logged(t, message)
		if len(lines) == 0 && ended {
			t.Fatalf("flowlatch = %d, want a log line %q", p.cmd.ProcessState.ExitCode(), message)
		}
		return len(lines) > 0
	})
	return lines[0]
}

// wantExit signals the process and wants it to end well.
func (p *process) wantExit(t *testing.T, s syscall.Signal) {
	t.Helper()
	p.signal(t, s)
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code after %s = %d, want %d", s, code, exitOK)
	}
	if err := p.cmd.Process.Signal(syscall.Signal(0)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("process after its end: %v, want %v", err, os.ErrProcessDone)
	}
}
