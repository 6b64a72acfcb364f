// Command release makes the files of a release: for each platform an archive with the program and its pages, and an SBOM; and checksums of them all. The same
// sources, version and Go give the same bytes on every machine and in every directory.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// platforms are those of the hosts of Flowise, and of the computers on which people make keys.
const platforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64"

// options are what a release is made of.
type options struct {
	dir       string // of the sources
	out       string // directory for the release
	version   string
	commit    string    // of the sources; may be empty
	time      time.Time // of all files in the archives
	platforms []string  // GOOS/GOARCH
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := options{dir: "."}
	flags.StringVar(&o.version, "version", "", "the release's version, such as v0.1.0")
	flags.StringVar(&o.out, "out", "dist", "the directory for it, which must not exist or be empty")
	list := flags.String("platforms", platforms, "GOOS/GOARCH, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.platforms = strings.Split(*list, ",")
	if err := checkVersion(o.dir, o.version); err != nil {
		return err
	}
	if err := sources(&o, stderr); err != nil {
		return err
	}
	made, err := release(o)
	for _, name := range made {
		fmt.Fprintln(stdout, filepath.Join(o.out, name))
	}
	return err
}

var versionPattern = regexp.MustCompile(`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`)

// checkVersion returns an error unless version is a semantic version with an entry in the changelog. A pre-release needs no entry.
func checkVersion(dir, version string) error {
	m := versionPattern.FindStringSubmatch(version)
	if m == nil {
		return fmt.Errorf("-version %q: want a semantic version such as v0.1.0 or v0.1.0-rc.1, as in `make release VERSION=v0.1.0`", version)
	}
	if m[4] != "" {
		return nil
	}
	changes, err := os.ReadFile(filepath.Join(dir, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if heading := "\n## [" + version[1:] + "] - "; !strings.Contains(string(changes), heading) {
		return fmt.Errorf("CHANGELOG.md has no heading \"%s\" with a date after it: write there what changes for users, then release", strings.TrimSpace(heading))
	}
	return nil
}

// sources sets the commit of the sources and its time. It refuses sources that nobody else could build: changes that are not committed, another tag.
func sources(o *options, notes io.Writer) error {
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Dir = o.dir
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	changed, err := git("status", "--porcelain")
	if err != nil {
		return fmt.Errorf("a release is made in a clone of the repository: git status: %w", err)
	}
	if changed != "" {
		return fmt.Errorf("the sources have changes that are not committed; commit or remove them first:\n%s", changed)
	}
	at, err := git("log", "-1", "--format=%H %ct")
	if err != nil {
		return fmt.Errorf("git log: %w", err)
	}
	commit, seconds, _ := strings.Cut(at, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("git log: time of the commit: %w", err)
	}
	o.commit, o.time = commit, time.Unix(unix, 0).UTC()
	if tagged, err := git("rev-parse", "--quiet", "--verify", "refs/tags/"+o.version+"^{commit}"); err != nil {
		fmt.Fprintf(notes, "release: there is no tag %s yet; before anybody gets this: git tag -s %s %.12s\n", o.version, o.version, commit)
	} else if tagged != commit {
		return fmt.Errorf("the tag %s is at %.12s, not at %.12s: check it out, or choose another version", o.version, tagged, commit)
	}
	return nil
}

// release makes the archives, SBOMs and checksums and returns the names of the files.
func release(o options) (made []string, err error) {
	if entries, err := os.ReadDir(o.out); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: remove it first, so that no old file is published", o.out)
	}
	work, err := os.MkdirTemp("", "flowlatch-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, err
	}
	texts, err := texts(o)
	if err != nil {
		return nil, err
	}
	for _, platform := range o.platforms {
		goos, goarch, ok := strings.Cut(platform, "/")
		if !ok {
			return made, fmt.Errorf("platform %q: want GOOS/GOARCH", platform)
		}
		program := filepath.Join(work, goos+"-"+goarch)
		if err := build(o, program, goos, goarch); err != nil {
			return made, err
		}
		name := fmt.Sprintf("flowlatch_%s_%s_%s", o.version, goos, goarch)
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return made, err
		}
		notices, err := notices(o.dir, info)
		if err != nil {
			return made, err
		}
		binary, err := os.ReadFile(program)
		if err != nil {
			return made, err
		}
		files := append([]file{{"flowlatch", 0o755, binary}, {"THIRD-PARTY-NOTICES", 0o644, notices}}, texts...)
		if err := writeArchive(filepath.Join(o.out, name+".tar.gz"), name, files, o.time); err != nil {
			return made, err
		}
		if err := writeSBOM(filepath.Join(o.out, name+".cdx.json"), info, o); err != nil {
			return made, err
		}
		made = append(made, name+".tar.gz", name+".cdx.json")
	}
	if err := writeSums(filepath.Join(o.out, "SHA256SUMS"), o.out, made); err != nil {
		return made, err
	}
	return append(made, "SHA256SUMS"), nil
}

// build builds the program for a platform. The result does not depend on this machine: not on its paths, its environment or the state of its clone.
func build(o options, to, goos, goarch string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w -X main.version="+o.version, "-o", to, "./cmd/flowlatch")
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOOS="+goos, "GOARCH="+goarch, "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building for %s/%s: %w\n%s", goos, goarch, err, out)
	}
	return nil
}

// texts returns the files that are the same on every platform.
func texts(o options) (files []file, err error) {
	names := []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"}
	docs, err := filepath.Glob(filepath.Join(o.dir, "docs", "*.md"))
	if err != nil || len(docs) == 0 {
		return nil, errors.Join(err, errors.New("there is no page in docs"))
	}
	for _, path := range docs {
		names = append(names, "docs/"+filepath.Base(path))
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(o.dir, name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, 0o644, data})
	}
	linkOut(files, o.version)
	return files, nil
}
