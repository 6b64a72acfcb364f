package main

import (
	"path"
	"regexp"
	"strings"
)

// repository is where pages are that an archive does not have.
const repository = "https://github.com/flowlatch/flowlatch/"

// link matches where a link of a page leads, unless it is to another place on the web or in the page itself.
var link = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)\s]*)?\)`)

// leadOut has the links of the pages that lead to files that are not in the archive lead to those of the release in
// the repository.
func leadOut(files []file, version string) {
	there := map[string]bool{}
	for _, f := range files {
		there[f.name] = true
	}
	for i, f := range files {
		if path.Ext(f.name) != ".md" {
			continue
		}
		files[i].data = link.ReplaceAllFunc(f.data, func(found []byte) []byte {
			m := link.FindSubmatch(found)
			to := path.Join(path.Dir(f.name), string(m[1]))
			if there[to] || strings.HasPrefix(to, "..") {
				return found
			}
			how := "blob/"
			if ext := path.Ext(to); ext == ".png" || ext == ".svg" {
				how = "raw/" // shown where it stands
			}
			return []byte("](" + repository + how + version + "/" + to + string(m[2]) + ")")
		})
	}
}
