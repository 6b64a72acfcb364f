//go:build bench

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// caddyVersion is the Caddy compared with, from the Go module proxy.
const caddyVersion = "v2.11.9"

func cacheDir() string {
	if dir := os.Getenv("BENCH_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "flowlatch-bench")
}

// fromDistribution installs programs that are missing, if it may.
func fromDistribution(ctx context.Context, programs ...string) error {
	var missing []string
	for _, p := range programs {
		if _, err := lookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("%s is missing, and only root on Debian can have it installed here: apt-get install %s", names, names)
	}
	progress("installing %s", names)
	allow, err := noServices()
	if err != nil {
		return err
	}
	defer allow()
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// noServices has the packages that are installed start none of their services, which would listen on more than loopback.
func noServices() (allow func(), err error) {
	const policy = "/usr/sbin/policy-rc.d" // of invoke-rc.d(8)
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil // the machine has its own
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := io.WriteString(f, "#!/bin/sh\nexit 101\n"); err != nil {
		return nil, errors.Join(err, os.Remove(policy))
	}
	return func() { os.Remove(policy) }, nil
}

// lookPath finds a program, also where only root's PATH leads.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path, nil
	}
	return "", err
}

// caddy returns Caddy's binary, built once and kept.
func caddy(ctx context.Context, cache string) (string, error) {
	dir := filepath.Join(cache, "caddy-"+caddyVersion)
	path := filepath.Join(dir, "caddy")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	progress("building Caddy %s, once", caddyVersion)
	cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", "-ldflags", "-s -w", "github.com/caddyserver/caddy/v2/cmd/caddy@"+caddyVersion)
	cmd.Dir = os.TempDir() // out of this module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Caddy: %w\n%s", err, out)
	}
	return path, nil
}

// build builds flowlatch as it is shipped.
func build(ctx context.Context, dir string) (string, error) {
	progress("building flowlatch")
	path := filepath.Join(dir, "flowlatch")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/flowlatch/flowlatch/cmd/flowlatch")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building flowlatch: %w\n%s", err, out)
	}
	return path, nil
}

var versionForm = regexp.MustCompile(`v?\d+\.\d+[-+.\w~]*`)

// version asks a program for its version.
func version(ctx context.Context, program string, args ...string) string {
	out, _ := exec.CommandContext(ctx, program, args...).CombinedOutput() // wrk -v exits with 1
	if v := versionForm.FindString(string(out)); v != "" {
		return v
	}
	return "?"
}

// machine says on what the figures were got.
func machine() string {
	model := "unknown CPU"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, %s/%s", model, runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func cores() int { return runtime.NumCPU() }
