//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running child. It leads a process group, so that whatever it starts ends with it.
type process struct {
	log  string        // the file with all it wrote
	done chan struct{} // closed once it has ended
	code int           // its exit status, to be read after done; -1 when a signal ended it
	stop func()        // ends it and all it started; may be called again

	pid int
}

// children holds the process groups to kill when a signal ends the tests, which runs no cleanup.
var children sync.Map

func TestMain(m *testing.M) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-stop
		children.Range(func(pid, _ any) bool {
			_ = syscall.Kill(-pid.(int), syscall.SIGKILL)
			return true
		})
		os.Exit(1)
	}()
	os.Exit(m.Run())
}

// start runs a command until the test ends, in an environment that holds only PATH and a HOME of its own.
func start(t *testing.T, name string, command ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()

	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = childEnv(dir)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	p.pid = cmd.Process.Pid
	p.stop = sync.OnceFunc(p.killGroup)
	children.Store(p.pid, nil)
	go func() {
		_ = cmd.Wait()
		p.code = cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	t.Cleanup(p.stop)
	if end, ok := t.Deadline(); ok { // a test that runs out of time runs no cleanup either
		timer := time.AfterFunc(time.Until(end)-15*time.Second, p.stop)
		t.Cleanup(func() { timer.Stop() })
	}
	return p
}

// childEnv keeps settings of the machine out of the children.
func childEnv(home string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	if cache, err := cacheDir(); err == nil {
		env = append(env, "FLOWISE_CACHE="+cache)
	}
	return env
}

// signal sends a signal to the process itself, as an operator does.
func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		t.Fatalf("sending %v: %v", sig, err)
	}
}

// killGroup ends the process and its group, first politely.
func (p *process) killGroup() {
	_ = syscall.Kill(-p.pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.done
	children.Delete(p.pid)
}

// running reports whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail returns the last lines the process wrote.
func (p *process) tail(lines int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// eventually waits until a condition holds, and fails the test if it does not within the time given.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		case <-t.Context().Done():
			t.Fatalf("test ended before: %s", what)
		}
	}
}

// cacheDir is where flowise.sh keeps its installs.
func cacheDir() (string, error) {
	if dir := os.Getenv("FLOWISE_CACHE"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache of flowise.sh: %w", err)
	}
	return filepath.Join(home, ".cache", "flowlatch-flowise"), nil
}
