package edit

import (
	"os"
	"path/filepath"
	"strings"
)

// temporaryPrefix begins the names of the temporary files of edits of the file at path, and of nothing else.
func temporaryPrefix(path string) string { return "." + filepath.Base(path) + ".flowlatch-" }

// removeLeftovers removes the temporary files of edits of the file at path that were killed. The directory is locked, so
// every such file is one: an edit that lives has the lock. What cannot be removed stays, and does no harm.
func removeLeftovers(path string) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	prefix := temporaryPrefix(path)
	for _, e := range entries {
		if random, ours := strings.CutPrefix(e.Name(), prefix); ours && e.Type().IsRegular() && strings.Trim(random, "0123456789") == "" {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
