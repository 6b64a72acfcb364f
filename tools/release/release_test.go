package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const testVersion = "v0.0.0-test"

// makeRelease makes a release of a copy of the sources, for this machine.
func makeRelease(t *testing.T) (out string, made []string) {
	t.Helper()
	o := options{
		dir: filepath.Join(t.TempDir(), "sources"), out: filepath.Join(t.TempDir(), "dist"), version: testVersion, commit: "abc",
		time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), platforms: []string{runtime.GOOS + "/" + runtime.GOARCH},
	}
	root := os.DirFS("../..")
	for _, name := range []string{"go.mod", "go.sum", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "cmd", "proxy", "keystore", "internal", "docs"} {
		err := fs.WalkDir(root, name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(root, path)
			if err != nil {
				return err
			}
			to := filepath.Join(o.dir, path)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			return os.WriteFile(to, data, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	made, err := release(o)
	if err != nil {
		t.Fatal(err)
	}
	return o.out, made
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// unpack returns what is in an archive, by name, and has the headers seen.
func unpack(t *testing.T, path string, seen func(*tar.Header)) map[string][]byte {
	t.Helper()
	compressed, err := gzip.NewReader(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(compressed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		seen(h)
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRelease makes a release and looks at everything in it. In a long run it makes it again, from sources in another
// directory, and both must be the same.
func TestRelease(t *testing.T) {
	name := fmt.Sprintf("flowlatch_%s_%s_%s", testVersion, runtime.GOOS, runtime.GOARCH)
	out, made := makeRelease(t)
	if diff := cmp.Diff([]string{name + ".tar.gz", name + ".cdx.json", "SHA256SUMS"}, made); diff != "" {
		t.Fatalf("files (-want +got):\n%s", diff)
	}
	if testkit.Long() {
		again, _ := makeRelease(t)
		for _, f := range made {
			if !bytes.Equal(read(t, filepath.Join(out, f)), read(t, filepath.Join(again, f))) {
				t.Errorf("%s differs when the release is made again in another directory", f)
			}
		}
	}

	sums := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(read(t, filepath.Join(out, "SHA256SUMS")))); s.Scan(); {
		sum, file, _ := strings.Cut(s.Text(), "  ")
		sums[file] = sum
	}
	for _, f := range made[:2] {
		sum := sha256.Sum256(read(t, filepath.Join(out, f)))
		if sums[f] != hex.EncodeToString(sum[:]) {
			t.Errorf("SHA256SUMS has %q for %s, want %x", sums[f], f, sum)
		}
	}

	var last string
	files := unpack(t, filepath.Join(out, name+".tar.gz"), func(h *tar.Header) {
		want := int64(0o644)
		if h.Name == name+"/flowlatch" {
			want = 0o755
		}
		if h.Mode != want || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || h.Name <= last {
			t.Errorf("%s: mode %o, owner %d:%d %q, time %s, after %q; want mode %o, no owner, the time of the commit, in order", h.Name, h.Mode, h.Uid, h.Gid, h.Uname, h.ModTime, last, want)
		}
		last = h.Name
	})
	for _, f := range []string{
		"LICENSE", "THIRD-PARTY-NOTICES", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/logs.md", "docs/keys.md",
	} {
		if len(files[name+"/"+f]) < 500 {
			t.Errorf("%s in the archive has %d bytes, want its content", f, len(files[name+"/"+f]))
		}
	}
	checkLinks(t, files, name)
	program := filepath.Join(t.TempDir(), "flowlatch")
	if err := os.WriteFile(program, files[name+"/flowlatch"], 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := exec.Command(program, "version").Output(); err != nil || string(got) != "flowlatch "+testVersion+"\n" {
		t.Errorf("flowlatch version = %q, %v, want %s", got, err, testVersion)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files[name+"/flowlatch"], []byte(filepath.Dir(filepath.Dir(wd)))) {
		t.Error("the program has a path of this machine in it")
	}
	checkSBOM(t, read(t, filepath.Join(out, name+".cdx.json")), string(files[name+"/THIRD-PARTY-NOTICES"]))
}

// checkSBOM compares SBOM and notices with the modules of the program that go list reports.
func checkSBOM(t *testing.T, data []byte, notices string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./cmd/flowlatch")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"std " + strings.TrimPrefix(runtime.Version(), "go")}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(want, line) {
			want = append(want, line)
		}
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.Format != "CycloneDX" || d.Spec != "1.6" || d.Metadata.Component.PURL != "pkg:golang/github.com/flowlatch/flowlatch@"+testVersion {
		t.Errorf("SBOM = %s %s of %s, want CycloneDX 1.6 of this release", d.Format, d.Spec, d.Metadata.Component.PURL)
	}
	var got []string
	for _, c := range d.Components {
		got = append(got, c.Name+" "+c.Version)
		if c.Name != "std" && (len(c.Property) != 1 || !strings.HasPrefix(c.Property[0].Value, "h1:") || c.PURL != "pkg:golang/"+c.Name+"@"+c.Version) {
			t.Errorf("component %+v, want its purl and the checksum of go.sum", c)
		}
		if c.Name != "std" && !strings.Contains(notices, "\n"+c.Name+" "+c.Version+"\n") {
			t.Errorf("THIRD-PARTY-NOTICES has nothing of %s", c.Name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-in the program +in the SBOM):\n%s", diff)
	}
	if n := strings.Count(notices, strings.Repeat("=", 80)); n != len(got) {
		t.Errorf("THIRD-PARTY-NOTICES has %d parts, want %d", n, len(got))
	}
}

// checkLinks wants every link of a page in the archive to lead to a file of the archive or to the repository, where
// there is one.
func checkLinks(t *testing.T, files map[string][]byte, folder string) {
	t.Helper()
	inside, outside := 0, 0
	for name, data := range files {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#\s]+)`).FindAllStringSubmatch(string(data), -1) {
			to := m[1]
			if rest, ok := strings.CutPrefix(to, "https://github.com/flowlatch/flowlatch/"); ok {
				_, rest, ok = strings.Cut(rest, "/"+testVersion+"/")
				if _, err := os.Stat(filepath.Join("..", "..", rest)); ok && err != nil {
					t.Errorf("%s: link to %s, where there is nothing: %v", name, to, err)
				}
				outside++
			} else if !strings.Contains(to, ":") {
				if files[path.Join(path.Dir(name), to)] == nil {
					t.Errorf("%s: link to %s, which is not in the archive", name, to)
				}
				inside++
			}
		}
	}
	if inside == 0 || outside == 0 {
		t.Errorf("links in %s: %d to files of it and %d to the repository, want both", folder, inside, outside)
	}
}

func TestCheckVersion(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "CHANGELOG.md"), []byte("# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{
		"v1.2.3": "", "v9.9.9-rc.1": "",
		"": "semantic version", "dev": "semantic version", "1.2.3": "semantic version", "v1.2": "semantic version", "v01.2.3": "semantic version", "v1.2.3 -x": "semantic version",
		"v1.2.3-dirty+x": "semantic version", "v1.2.4": `no heading "## [1.2.4]`,
	} {
		err := checkVersion(dir, version)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("checkVersion(%q) = %v, want %q", version, err, want)
		}
	}
}

// TestSources checks that what is not committed, or has another tag, is not released.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	try := func() (options, string, error) {
		var notes bytes.Buffer
		o := options{dir: dir, version: "v1.2.3"}
		err := sources(&o, &notes)
		return o, notes.String(), err
	}
	if _, _, err := try(); err == nil {
		t.Error("sources() of no clone = nil, want an error")
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "one", "--date", "2026-01-02T03:04:05Z")
	o, notes, err := try()
	if err != nil || len(o.commit) != 40 || o.time.IsZero() || !strings.Contains(notes, "no tag v1.2.3") {
		t.Errorf("sources() = %+v, %v, notes %q, want the commit, its time and a note that there is no tag", o, err, notes)
	}
	git("tag", "v1.2.3")
	if _, notes, err = try(); err != nil || notes != "" {
		t.Errorf("sources() with the tag = %v, notes %q, want neither", err, notes)
	}
	git("commit", "-q", "--allow-empty", "-m", "two")
	if _, _, err = try(); err == nil || !strings.Contains(err.Error(), "the tag v1.2.3 is at") {
		t.Errorf("sources() with the tag elsewhere = %v, want an error that says so", err)
	}
	git("tag", "-f", "v1.2.3")
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err = try(); err == nil || !strings.Contains(err.Error(), "?? new") {
		t.Errorf("sources() with a new file = %v, want an error that names it", err)
	}
}

// TestNothingOldIsPublished checks that a directory with something in it is not added to.
func TestNothingOldIsPublished(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "old.tar.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if made, err := release(options{dir: "../..", out: dir, version: testVersion}); err == nil || len(made) > 0 {
		t.Errorf("release into a full directory = %q, %v, want an error", made, err)
	}
}
