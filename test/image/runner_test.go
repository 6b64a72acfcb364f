//go:build image

package image

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// runner is a way to run the image: in a container or, where containers cannot run, in a chroot.
type runner interface {
	String() string
	// once runs a command of the image to its end, with a directory of keys it may write, and returns what it prints.
	once(t *testing.T, keys string, args ...string) string
	// start runs the image as it is, with a directory of keys that it may read.
	start(t *testing.T, keys string, env map[string]string) gate
	// capBnd reports whether the process cannot regain capabilities.
	capBnd() bool
}

// gate is a running gate.
type gate interface {
	pid(t *testing.T) int
	healthy() bool // by the image's own healthcheck
	terminate(t *testing.T)
	wait(t *testing.T) int
}

// runners returns the runners that work here. FLOWLATCH_IMAGE_RUNNERS names those that must work, such as "podman chroot".
func runners(t *testing.T, b built) (list []runner) {
	t.Helper()
	demanded := strings.Fields(os.Getenv("FLOWLATCH_IMAGE_RUNNERS"))
	wanted := func(name string) bool {
		for _, d := range demanded {
			if d == name {
				return true
			}
		}
		return false
	}
	if len(demanded) == 0 || wanted("podman") {
		var faults []string
		for _, oci := range []string{"crun", "runc"} {
			p := podman{b.name, oci}
			out, err := exec.Command("podman", p.args("--rm", b.name, "version")...).CombinedOutput()
			if err == nil {
				list = append(list, p)
				break
			}
			faults = append(faults, fmt.Sprintf("%s: %v: %s", oci, err, strings.TrimSpace(string(out))))
		}
		if len(list) == 0 {
			say := "podman cannot run a container here: " + strings.Join(faults, "; ")
			if wanted("podman") {
				t.Fatal(say)
			}
			fmt.Println(say + "\nTHE IMAGE WAS NOT RUN AS A CONTAINER, but in a chroot: without seccomp, and with capabilities that it could get back as root")
		}
	}
	if len(list) == 0 || wanted("chroot") {
		list = append(list, chroot{b.mount(t)})
	}
	return list
}

type podman struct{ image, oci string }

func (p podman) String() string { return "podman with " + p.oci }
func (p podman) capBnd() bool   { return true }

// args confines a container as the compose file and the manifests do.
func (p podman) args(more ...string) []string {
	return append([]string{
		"--runtime", p.oci, "run", "--network", "host", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges",
		"--health-interval", "disable", // it would need systemd; the test runs it
	}, more...)
}

func (p podman) once(t *testing.T, keys string, args ...string) string {
	t.Helper()
	more := []string{"--rm"}
	if keys != "" {
		more = append(more, "--volume", keys+":/etc/flowlatch")
	}
	return must(t, "podman", p.args(append(append(more, p.image), args...)...)...)
}

func (p podman) start(t *testing.T, keys string, env map[string]string) gate {
	t.Helper()
	more := []string{"--detach", "--volume", keys + ":/etc/flowlatch:ro"}
	for k, v := range env {
		more = append(more, "--env", k+"="+v)
	}
	id := must(t, "podman", p.args(append(more, p.image)...)...)
	c := podmanGate{p, id}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("podman", "logs", id).CombinedOutput()
			t.Logf("log of the container:\n%s", out)
		}
		must(t, "podman", "--runtime", p.oci, "rm", "--force", "--time", "0", id)
	})
	return c
}

type podmanGate struct {
	podman
	id string
}

func (g podmanGate) pid(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(must(t, "podman", "inspect", "--format", "{{.State.Pid}}", g.id))
	if err != nil || pid == 0 {
		t.Fatalf("the container's process = %d, %v", pid, err)
	}
	return pid
}

func (g podmanGate) healthy() bool {
	return exec.Command("podman", "--runtime", g.oci, "healthcheck", "run", g.id).Run() == nil
}

func (g podmanGate) terminate(t *testing.T) {
	t.Helper()
	must(t, "podman", "--runtime", g.oci, "kill", "--signal", "TERM", g.id)
}

func (g podmanGate) wait(t *testing.T) int {
	t.Helper()
	code, err := strconv.Atoi(must(t, "podman", "wait", g.id))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// chroot runs the image's file system in a mount namespace, as the image's user.
type chroot struct{ root string }

func (chroot) String() string { return "chroot" }
func (chroot) capBnd() bool   { return false }

func (c chroot) command(keys string, env map[string]string, args ...string) *exec.Cmd {
	options := "ro"
	if len(env) == 0 {
		options = "rw"
	}
	cmd := exec.Command("setpriv", append([]string{"--no-new-privs", "unshare", "--mount", "sh", "-c", `set -eu
mkdir -p "$1/etc/flowlatch"
mount --bind "$1" "$1"
if [ -n "$2" ]; then mount --bind "$2" "$1/etc/flowlatch"; mount -o "remount,bind,$3" "$1/etc/flowlatch"; fi
mount -o remount,bind,ro "$1"
root=$1
shift 3
exec chroot --userspec=65532:65532 --groups= "$root" /flowlatch "$@"`, "sh", c.root, keys, options}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

func (c chroot) once(t *testing.T, keys string, args ...string) string {
	t.Helper()
	cmd := c.command(keys, nil, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("flowlatch %q: %v\n%s%s", args, err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

func (c chroot) start(t *testing.T, keys string, env map[string]string) gate {
	t.Helper()
	g := &chrootGate{chroot: c, keys: keys, env: env, cmd: c.command(keys, env, "serve"), ended: make(chan struct{})}
	g.cmd.Stdout, g.cmd.Stderr = os.Stderr, os.Stderr
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { g.err = g.cmd.Wait(); close(g.ended) }()
	t.Cleanup(func() { _ = g.cmd.Process.Kill(); <-g.ended })
	return g
}

type chrootGate struct {
	chroot
	keys  string
	env   map[string]string
	cmd   *exec.Cmd
	err   error
	ended chan struct{}
}

func (g *chrootGate) pid(*testing.T) int { return g.cmd.Process.Pid } // each program execs the next

func (g *chrootGate) healthy() bool { return g.command(g.keys, g.env, "healthcheck").Run() == nil }

func (g *chrootGate) terminate(t *testing.T) {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

func (g *chrootGate) wait(t *testing.T) int {
	t.Helper()
	<-g.ended
	var exit *exec.ExitError
	if g.err != nil && !errors.As(g.err, &exit) {
		t.Fatal(g.err)
	}
	return g.cmd.ProcessState.ExitCode()
}
