package keystore

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// UpstreamAuthorization says which credential is sent to the upstream.
type UpstreamAuthorization struct {
	Mode UpstreamMode
	// Path is the file that holds the credential, for UpstreamFile.
	Path string
}

// UpstreamMode is a source of the credential for the upstream.
type UpstreamMode uint8

// The sources of the credential for the upstream.
const (
	UpstreamDefault UpstreamMode = iota // the gate's setting
	UpstreamRemove                      // none
	UpstreamForward                     // the client
	UpstreamFile                        // a file
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
			return UpstreamAuthorization{}, fmt.Errorf("%s: want an absolute path, as in file:/etc/flowlatch/upstream-key", strictyaml.Quote(s))
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
