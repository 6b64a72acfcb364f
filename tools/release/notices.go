package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// notices returns the licences of everything in a program. They must be distributed with it.
func notices(dir string, info *debug.BuildInfo) ([]byte, error) {
	root, err := goTool(dir, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("flowlatch contains the modules below, under these licences.\n")
	for _, m := range append([]*debug.Module{{Path: "Go's standard library", Version: info.GoVersion}}, modules(info)...) {
		at := root
		if m.Sum != "" {
			if at, err = goTool(dir, "list", "-m", "-f", "{{.Dir}}", m.Path); err != nil {
				return nil, err
			}
		}
		texts, err := licences(at)
		if err != nil {
			return nil, fmt.Errorf("licence of %s %s: %w", m.Path, m.Version, err)
		}
		fmt.Fprintf(&out, "\n%s\n%s %s\n\n%s", strings.Repeat("=", 80), m.Path, m.Version, texts)
	}
	return out.Bytes(), nil
}

// licences returns the licence and notice files in a directory.
func licences(dir string) (text string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		base, _, _ := strings.Cut(strings.ToUpper(e.Name()), ".")
		if e.IsDir() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, strings.SplitN(base, "-", 2)[0]) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		text += strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n")) + "\n\n"
	}
	if text == "" {
		return "", errors.New("there is none in its directory")
	}
	return text, nil
}

func goTool(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
