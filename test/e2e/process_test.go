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

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// process is a running Flowise. It leads a process group, so that whatever it starts ends with it.
type process struct {
	log  string        // path of its output
	done chan struct{} // closed once it has ended
	code int           // its exit status, to be read after done; -1 when a signal ended it
	stop func()        // ends it and all it started; may be called more than once

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
	os.Exit(testkit.Main(m))
}

// start runs a command until the test ends, with only PATH and a HOME of its own in the environment.
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
	if end, ok := t.Deadline(); ok { // a test that times out runs no cleanup either
		timer := time.AfterFunc(time.Until(end)-15*time.Second, p.stop)
		t.Cleanup(func() { timer.Stop() })
	}
	return p
}

// childEnv returns an environment without the settings of this machine.
func childEnv(home string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	if cache, err := cacheDir(); err == nil {
		env = append(env, "FLOWISE_CACHE="+cache)
	}
	return env
}

// killGroup ends the process and its group: by SIGTERM, and after 10 s by SIGKILL.
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

// running reports whether the process is running.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail returns the last lines of the output.
func (p *process) tail(lines int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
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
