package keystore

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// UpstreamAuthorization says which credential the runner is sent.
type UpstreamAuthorization struct {
	Mode UpstreamMode
	// Path is the file that holds the credential, for UpstreamFile.
	Path string
}

// UpstreamMode is a way to deal with the caller's credential.
type UpstreamMode uint8

// The ways to deal with the caller's credential.
const (
	UpstreamDefault UpstreamMode = iota // as the gate's setting says
	UpstreamRemove                      // none is sent
	UpstreamForward                     // the caller's own is sent on
	UpstreamFile                        // the one in a file is sent
)

// ParseUpstreamAuthorization reads "remove", "forward" or "file:PATH", where PATH is absolute.
func ParseUpstreamAuthorization(s string) (UpstreamAuthorization, error) {
	switch {
	case s == "remove":
		return UpstreamAuthorization{Mode: UpstreamRemove}, nil
	case s == "forward":
		return UpstreamAuthorization{Mode: UpstreamForward}, nil
	case strings.HasPrefix(s, "file:"):
		path := strings.TrimPrefix(s, "file:")
		if !filepath.IsAbs(path) {
			return UpstreamAuthorization{}, fmt.Errorf("%s: the file is named by its absolute path, as in file:/etc/flowlatch/upstream-key", strictyaml.Quote(s))
		}
		return UpstreamAuthorization{Mode: UpstreamFile, Path: path}, nil
	}
	return UpstreamAuthorization{}, fmt.Errorf("%s: want remove, forward or file:PATH", strictyaml.Quote(s))
}

// String returns the value as it is written in a setting; empty for the zero value.
func (u UpstreamAuthorization) String() string {
	switch u.Mode {
	case UpstreamRemove:
		return "remove"
	case UpstreamForward:
		return "forward"
	case UpstreamFile:
		return "file:" + u.Path
	}
	return ""
}
