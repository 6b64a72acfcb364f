//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The core of whatever is measured, and the core of callers and upstream.
const (
	coreOfProxy = "0"
	coreOfRest  = "1"
	anyCore     = ""
)

// process is a running child. It leads a process group, so that whatever it starts is measured, and ends, with it.
type process struct {
	cmd   *exec.Cmd
	began time.Time
	out   string        // the file with all it wrote
	ended chan struct{} // closed once it has ended
	stop  func() bool   // context.AfterFunc's
}

// start starts a command pinned to a core, in an environment of its own. It is stopped when ctx is done.
func start(ctx context.Context, core, dir, name string, command ...string) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &process{out: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.out, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if core != anyCore {
		command = append([]string{"taskset", "-c", core}, command...)
	}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "HOME=" + dir}
	for _, name := range []string{"FLOWISE_CACHE", "GOTRACEBACK"} {
		if v := os.Getenv(name); v != "" {
			p.cmd.Env = append(p.cmd.Env, name+"="+v)
		}
	}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.ended)
	}()
	p.stop = context.AfterFunc(ctx, p.killGroup)
	return p, nil
}

// end stops the process and all of its group, first politely, and returns once it is gone.
func (p *process) end() {
	if p == nil {
		return
	}
	p.stop()
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	timer := time.NewTimer(3 * time.Second) // some wait for connections
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
	}
	p.killGroup()
	<-p.ended
}

func (p *process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// tail returns the end of what the process wrote.
func (p *process) tail() string {
	f, err := os.Open(p.out)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 4000 {
		_, _ = f.Seek(-4000, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}

// pids returns the processes of the group.
func (p *process) pids() ([]string, error) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	group := strconv.Itoa(p.cmd.Process.Pid)
	var pids []string
	for _, e := range all {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if fields := stat(e.Name()); len(fields) > 12 && fields[2] == group {
			pids = append(pids, e.Name())
		}
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("%s has ended:\n%s", p.cmd.Path, p.tail())
	}
	return pids, nil
}

// stat returns what stands after the name in /proc/PID/stat: state, parent, group and so on; see proc(5).
func stat(pid string) []string {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil // it has ended
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name, in parentheses, may have blanks
	return strings.Fields(rest)
}

// processor returns the processor time, user and system, of all processes of the group.
func (p *process) processor() (time.Duration, error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, pid := range pids {
		fields := stat(pid)
		if len(fields) < 13 {
			continue
		}
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // USER_HZ is 100
}

// resident returns the sum of VmRSS of the group, in KiB. Pages that its processes share count for each.
func (p *process) resident() (float64, error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, pid := range pids {
		b, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
				if err != nil {
					return 0, err
				}
				sum += kib
			}
		}
	}
	return sum, nil
}

// descriptors returns how many files, sockets and the like the process has open.
func (p *process) descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(entries), err
}

// given are the addresses that freeAddr has given away, some of which nothing listens on yet.
var given sync.Map

// freeAddr returns an address on loopback that nothing listens on, each time another.
func freeAddr() (string, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		l.Close()
		if _, taken := given.LoadOrStore(l.Addr().String(), true); !taken {
			return l.Addr().String(), nil
		}
	}
}

// raiseFileLimit allows this process and its children as many descriptors as it may.
func raiseFileLimit() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max // Go gives it to children only if it was set in so many words
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

// wait waits until a condition holds, the time is up, ctx is done or p has ended.
func (p *process) wait(ctx context.Context, within, every time.Duration, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("within %s: not %s", within, what))
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := holds()
		if ok {
			return err
		}
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s has ended: %w\n%s", p.cmd.Args[0], errors.Join(err), p.tail())
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err, errors.New(p.tail()))
		}
	}
}
