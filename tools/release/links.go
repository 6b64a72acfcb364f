package main

import (
	"path"
	"regexp"
	"strings"
)

const repository = "https://github.com/flowlatch/flowlatch/"

// link matches the target of a Markdown link to another file.
var link = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)\s]*)?\)`)

// linkOut rewrites the links in Markdown files to files that are not in the archive: they go to the release in the repository.
func linkOut(files []file, version string) {
	archived := map[string]bool{}
	for _, f := range files {
		archived[f.name] = true
	}
	for i, f := range files {
		if path.Ext(f.name) != ".md" {
			continue
		}
		files[i].data = link.ReplaceAllFunc(f.data, func(found []byte) []byte {
			m := link.FindSubmatch(found)
			to := path.Join(path.Dir(f.name), string(m[1]))
			if archived[to] || strings.HasPrefix(to, "..") {
				return found
			}
			view := "blob/"
			if ext := path.Ext(to); ext == ".png" || ext == ".svg" {
				view = "raw/" // the page shows it
			}
			return []byte("](" + repository + view + version + "/" + to + string(m[2]) + ")")
		})
	}
}
