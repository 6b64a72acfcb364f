package edit

import (
	"os"
	"path/filepath"
	"strings"
)

// temporaryPrefix returns how the names of temporary files begin while the file at path is edited. No other file is named
// so.
func temporaryPrefix(path string) string { return "." + filepath.Base(path) + ".flowlatch-" }

// removeLeftovers removes the temporary files of killed edits of the file at path. The caller keeps other edits away, so
// every such file is left over. One that cannot be removed does no harm.
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
