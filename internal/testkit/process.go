package testkit

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// RaceOptions is the value of GORACE that keeps the race detector from adding a second to the end of every process.
const RaceOptions = "atexit_sleep_ms=20"

// Process is a running program.
type Process struct {
	Stdout, Stderr Buffer

	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
}

// Start starts a program, usually one from Build. env is added to a minimal environment. The process is killed at the
// end of the test.
func Start(t testing.TB, path string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=" + RaceOptions}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.Stdout, &p.Stderr
	endWithTests(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%q\nstdout:\n%s\nstderr:\n%s", p.cmd.Args, &p.Stdout, &p.Stderr)
		}
	})
	return p
}

// PID returns the ID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the process a signal.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", s, err)
	}
}

// Wait waits until the process has ended and returns its exit code.
func (p *Process) Wait(t testing.TB) (code int) {
	t.Helper()
	Eventually(t, "end of the process", p.Ended)
	return p.cmd.ProcessState.ExitCode()
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// WantExit sends the process a signal and fails the test unless the exit code is 0.
func (p *Process) WantExit(t testing.TB, s os.Signal) {
	t.Helper()
	p.Signal(t, s)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code after %s = %d, want 0", s, code)
	}
}

// A Line is a line of a JSON log.
type Line map[string]any

// Log returns the lines on stderr so far. A line that is not a JSON object fails the test.
func (p *Process) Log(t testing.TB) (lines []Line) {
	t.Helper()
	text := p.Stderr.String()
	text = text[:strings.LastIndexByte(text, '\n')+1] // the process may be writing the last line
	for s := range strings.Lines(text) {
		var line Line
		if err := json.Unmarshal([]byte(s), &line); err != nil {
			t.Fatalf("log line %q: %v, want one JSON object", s, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// Logged returns the lines of the log with a message.
func (p *Process) Logged(t testing.TB, message string) (lines []Line) {
	t.Helper()
	for _, line := range p.Log(t) {
		if line["message"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

// AwaitLog waits for a line with a message and returns the first. It fails the test if the process ends without one.
func (p *Process) AwaitLog(t testing.TB, message string) Line {
	t.Helper()
	var lines []Line
	Eventually(t, "log line "+message, func() bool {
		ended := p.Ended() // before the log is read, or its last lines could be missed
		lines = p.Logged(t, message)
		if len(lines) == 0 && ended {
			t.Fatalf("exit code = %d, want a log line %q first", p.cmd.ProcessState.ExitCode(), message)
		}
		return len(lines) > 0
	})
	return lines[0]
}
