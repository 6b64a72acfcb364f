//go:build image

package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goImage is the name of what the Dockerfile compiles in.
const goImage = "localhost/flowlatch-test-go:1"

// work holds the storage of buildah and podman, and what else the test makes.
var work string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "flowlatch-image")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	work = dir
	defer func() {
		for _, args := range [][]string{{"rm", "--all"}, {"rmi", "--all", "--force"}} { // layers are mounts
			if out, err := exec.Command("buildah", args...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "buildah %s: %v\n%s", args[0], err, out)
				code = 1
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	for _, driver := range []string{"overlay", "vfs"} { // the second works on any file system, and copies everything
		if err = prepare(driver); err == nil {
			return m.Run()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// prepare gives buildah and podman a storage of their own, in which there is an image with Go.
func prepare(driver string) error {
	for name, text := range map[string]string{
		"storage.conf": fmt.Sprintf("[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n", driver, filepath.Join(work, driver), filepath.Join(work, driver+"-run")),
		// The default limits are higher than what a machine may allow.
		"containers.conf": "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n",
	} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	os.Setenv("CONTAINERS_STORAGE_CONF", filepath.Join(work, "storage.conf"))
	os.Setenv("CONTAINERS_CONF", filepath.Join(work, "containers.conf"))
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("a static busybox: %w", err)
	}
	cmd := exec.Command("sh", "-c", `set -eu
c=$(buildah from scratch)
m=$(buildah mount "$c")
mkdir -p "$m/bin" "$m/tmp" "$m/root" "$m/etc/ssl/certs" "$m/usr/local/go/bin"
cp "$BUSYBOX" "$m/bin/busybox"
for name in sh mkdir cp find chmod touch; do ln -s busybox "$m/bin/$name"; done
cp /etc/ssl/certs/ca-certificates.crt "$m/etc/ssl/certs/"
cd "$GO"
tar c bin/go pkg src lib go.env VERSION | tar x -C "$m/usr/local/go"
buildah config --env PATH=/usr/local/go/bin:/bin --env GOPATH=/go --env GOCACHE=/cache --env GOTOOLCHAIN=local --env HOME=/root "$c"
buildah commit -q --rm "$c" "$IMAGE"
`)
	cmd.Env = append(os.Environ(), "BUSYBOX="+busybox, "GO="+strings.TrimSpace(string(goroot)), "IMAGE="+goImage)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making an image with Go, storage %s: %w\n%s", driver, err, out)
	}
	return nil
}

// must runs a command and returns what it wrote to standard output.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}
