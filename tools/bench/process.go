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
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// The core of what is measured, and the core of clients and upstream.
const (
	coreOfProduct = "0"
	coreOfRest    = "1"
)

// process is a running child. It leads a process group, so that whatever it starts is measured, and ends, with it.
type process struct {
	cmd   *exec.Cmd
	began time.Time
	out   string        // the file with all it wrote
	ended chan struct{} // closed once it has ended
	stop  func() bool   // context.AfterFunc's
}

// start starts a command pinned to a core, before other programs if this one may do that, with a nearly empty environment. It is killed when ctx is done.
func start(ctx context.Context, core, dir string, command ...string) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(dir, "output-")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	command = append([]string{"taskset", "-c", core}, command...)
	p := &process{cmd: exec.Command(command[0], command[1:]...), out: out.Name(), ended: make(chan struct{}), began: time.Now()}
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // and so a process group
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %q: %w", command, err)
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", p.cmd.Process.Pid), []byte("-15"), 0) // the nice value of the session, see sched(7); only root may
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.ended)
	}()
	p.stop = context.AfterFunc(ctx, p.killGroup)
	return p, nil
}

// startSelf starts a subcommand of this program on the core of clients and upstream.
func startSelf(ctx context.Context, dir, name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, coreOfRest, dir, append([]string{self, name}, args...)...)
}

// says waits until the process writes a line with a prefix and returns the rest of the line.
func (p *process) says(ctx context.Context, prefix string) (rest string, err error) {
	err = p.wait(ctx, 2*time.Minute, 5*time.Millisecond, strconv.Quote(prefix), func() (bool, error) {
		for line := range strings.Lines(p.tail()) {
			var ok bool
			if rest, ok = strings.CutPrefix(line, prefix); ok && strings.HasSuffix(line, "\n") {
				rest = strings.TrimSpace(rest)
				return true, nil
			}
		}
		return false, nil
	})
	return rest, err
}

// done waits until a process has ended.
func (p *process) done(ctx context.Context) error {
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end stops the process and all of its group, first politely, and returns once it is gone.
func (p *process) end() {
	if p == nil {
		return
	}
	p.stop()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
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
func (p *process) pids() (pids []int, err error) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if group, err := syscall.Getpgid(pid); err == nil && group == p.cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("%s has ended:\n%s", p.cmd.Args, p.tail())
	}
	return pids, nil
}

// cpu returns the processor time, user and system, of all processes of the group.
func (p *process) cpu() (sum time.Duration, err error) {
	pids, err := p.pids()
	for _, pid := range pids {
		clock := ^pid<<3 | 2 // of the process, as clock_getcpuclockid(3) makes it; /proc counts in 10 ms
		var t syscall.Timespec
		if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
			return 0, fmt.Errorf("processor time of %d: %w", pid, errno)
		}
		sum += time.Duration(t.Nano())
	}
	return sum, err
}

// spends returns the processor time that the group spends while f runs.
func (p *process) spends(f func() error) (time.Duration, error) {
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := p.cpu()
	return after - before, err
}

// resident returns the sum of a field of /proc/PID/status of the group, VmRSS or VmHWM, in MiB. Pages that its processes share count for each.
func (p *process) resident(field string) (mib float64, err error) {
	pids, err := p.pids()
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, value, _ := strings.Cut(string(b), field+":")
		var kib float64
		if _, err := fmt.Sscan(value, &kib); err != nil {
			return 0, fmt.Errorf("%s of process %d: %w", field, pid, err)
		}
		mib += kib / 1024
	}
	return mib, err
}

// descriptors returns how many files, sockets and the like the process has open.
func (p *process) descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(entries), err
}

// wait waits until a condition holds, the time is up, ctx is done or p has ended.
func (p *process) wait(ctx context.Context, within, every time.Duration, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("no %s within %s", what, within))
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
			return errors.Join(fmt.Errorf("%q has ended:\n%s", p.cmd.Args, p.tail()), err)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err, errors.New(p.tail()))
		}
	}
}

// pause waits where there is nothing to wait for but the time itself.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lastPort is the last port that freePort returned. They are below those that the kernel gives to connections, which would take one before its listener does.
var lastPort = 20000

// freePort returns a port of loopback without a listener, each time another.
func freePort() (int, error) {
	for lastPort++; lastPort < 30000; lastPort++ {
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(lastPort)); err == nil {
			return lastPort, l.Close()
		}
	}
	return 0, errors.New("no free port")
}
