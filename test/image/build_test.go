//go:build image

package image

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The settings of all builds.
const (
	version  = "1.2.3-test"
	revision = "0123456789abcdef0123456789abcdef01234567"
	epoch    = 1790000000
	date     = "2026-09-21T14:13:20Z"
)

// built is an image. Those with the same cache share compiled packages.
type built struct{ name, platform, format, cache string }

// build runs deploy/image/build in a tree.
func (b built) build(t *testing.T, tree string) {
	t.Helper()
	cache := filepath.Join(work, "cache-"+b.cache)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(tree, "deploy", "image", "build"))
	cmd.Env = append(os.Environ(), "BUILDER=buildah", "GO_IMAGE="+goImage, "IMAGE="+b.name, "PLATFORM="+b.platform, "FORMAT="+b.format,
		"VERSION="+version, "REVISION="+revision, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch),
		// The modules are on this machine already. The build runs in a chroot, because containers cannot run everywhere.
		"BUILDER_ARGS=--network host --isolation chroot --volume "+must(t, "go", "env", "GOMODCACHE")+":/go/pkg/mod --volume "+cache+":/cache")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("deploy/image/build, %+v: %v\n%s", b, err, out)
	}
}

// inspect returns the metadata of an image.
func (b built) inspect(t *testing.T) (i struct {
	FromImageDigest string
	Docker          struct {
		Created      time.Time `json:"created"`
		Architecture string    `json:"architecture"`
		OS           string    `json:"os"`
		Config       config    `json:"config"`
		RootFS       struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
},
) {
	t.Helper()
	if err := json.Unmarshal([]byte(must(t, "buildah", "inspect", "--type", "image", b.name)), &i); err != nil {
		t.Fatal(err)
	}
	return i
}

type config struct {
	User         string
	ExposedPorts map[string]struct{}
	Entrypoint   []string
	Cmd          []string
	Labels       map[string]string
	Healthcheck  struct {
		Test        []string
		Interval    time.Duration
		Timeout     time.Duration
		StartPeriod time.Duration
	}
}

// mount shows the image's file system in a folder, for as long as the test runs.
func (b built) mount(t *testing.T) string {
	t.Helper()
	c := must(t, "buildah", "from", "--pull-never", "--platform", b.platform, b.name)
	t.Cleanup(func() { must(t, "buildah", "rm", c) })
	return must(t, "buildah", "mount", c)
}

// copyTree copies what a build may look at, with other times and modes.
func copyTree(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "another", "place")
	from := filepath.Join("..", "..")
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.Name() == ".git" && d.IsDir():
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

var (
	amd64 = built{"localhost/flowlatch-test:amd64", "linux/amd64", "oci", "1"}
	again = built{"localhost/flowlatch-test:again", "linux/amd64", "oci", "2"}
	arm64 = built{"localhost/flowlatch-test:arm64", "linux/arm64", "oci", "1"}
)

// TestReproducible builds twice, in two folders, with nothing in common but the files' contents.
func TestReproducible(t *testing.T) {
	amd64.build(t, filepath.Join("..", ".."))
	again.build(t, copyTree(t))
	first, second := amd64.inspect(t), again.inspect(t)
	if first.FromImageDigest == "" || first.FromImageDigest != second.FromImageDigest {
		t.Errorf("digests of two builds = %q, %q, want one", first.FromImageDigest, second.FromImageDigest)
	}
	if diff := cmp.Diff(first.Docker.RootFS, second.Docker.RootFS); diff != "" {
		t.Errorf("layers of two builds (-first +second):\n%s", diff)
	}
}

// TestPlatforms looks into an image for each platform.
func TestPlatforms(t *testing.T) {
	for _, b := range []built{amd64, arm64} {
		t.Run(b.platform, func(t *testing.T) {
			b.build(t, filepath.Join("..", ".."))
			arch := filepath.Base(b.platform)
			got := b.inspect(t).Docker
			if got.OS != "linux" || got.Architecture != arch || got.Created.Unix() != epoch {
				t.Errorf("image is for %s/%s, of %s, want %s, of %s", got.OS, got.Architecture, got.Created, b.platform, date)
			}
			root := b.mount(t)
			type file struct {
				Mode     string
				UID, GID uint32
				Time     int64
			}
			files := map[string]file{}
			err := filepath.Walk(root, func(path string, i fs.FileInfo, err error) error {
				if err == nil && path != root {
					s := i.Sys().(*syscall.Stat_t)
					files[path[len(root):]] = file{i.Mode().String(), s.Uid, s.Gid, i.ModTime().Unix()}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			folder := file{"drwxr-xr-x", 0, 0, epoch}
			want := map[string]file{
				"/etc": folder, "/etc/ssl": folder, "/etc/ssl/certs": folder,
				"/etc/ssl/certs/ca-certificates.crt": {"-rw-r--r--", 0, 0, epoch},
				"/flowlatch":                         {"-rwxr-xr-x", 0, 0, epoch},
			}
			if diff := cmp.Diff(want, files); diff != "" {
				t.Errorf("files of the image (-want +got):\n%s", diff)
			}
			info, err := buildinfo.ReadFile(filepath.Join(root, "flowlatch"))
			if err != nil {
				t.Fatal(err)
			}
			settings := map[string]string{}
			for _, s := range info.Settings {
				settings[s.Key] = s.Value
			}
			for k, v := range map[string]string{"GOOS": "linux", "GOARCH": arch, "CGO_ENABLED": "0", "-trimpath": "true", "vcs.revision": ""} {
				if settings[k] != v {
					t.Errorf("%s of the binary = %q, want %q", k, settings[k], v)
				}
			}
			if qemu, err := exec.LookPath("qemu-aarch64-static"); arch == "arm64" && err == nil {
				if got, want := must(t, qemu, filepath.Join(root, "flowlatch"), "version"), "flowlatch "+version; got != want {
					t.Errorf("version on an emulated %s = %q, want %q", arch, got, want)
				}
			} else if arch == "arm64" {
				t.Log("there is no qemu-aarch64-static; the binary for arm64 was not run")
			}
		})
	}
}
