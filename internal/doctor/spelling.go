package doctor

import (
	"fmt"
	"strings"
)

// spellingTemplates are other spellings of the path that calls a chatflow, which an upstream or a proxy may take for it:
// Flowise decodes a path, strips markup from it and decodes it again before it routes; Express ignores the case of
// letters. spellings says what stands for the words between < and >.
var spellingTemplates = []string{
	"<D>/%<X><R>/NOBODY", "<E>/<W>/NOBODY", "<D>/%25<X><R>/NOBODY", "<D>/%2525<X><R>/NOBODY",
	"<D>/&#<#>;<R>/NOBODY", "<D>/&#x<X>;<R>/NOBODY", "<D>&sol;<W>&sol;NOBODY", "<D>/%26%23<#>%3B<R>/NOBODY",
	"<D>/<w><x><R>/NOBODY", "<D>/<w>%3Cx%3E<R>/NOBODY", "<D>/<W>/<b>NOBODY", "<D>/<W>/<!--x-->NOBODY", "<D>/<W>/%3C!--x--%3ENOBODY",
	"<D>/<W>/NOBODY/", "<D>/<W>/NOBODY//", "<D>/<W>//NOBODY", "<D>//<W>/NOBODY", "/<D>/<W>/NOBODY", "<2>/<W>/NOBODY",
	"<D>/<W>/NOBODY%20", "<D>/<W>/NOBODY%0a", "<D>/<W>/NOBODY%00", "<D>/<W>/%20NOBODY", "<D>/<W>/NOBODY%2F", "<D>/<W>%2FNOBODY",
	"/<S>%2F<W>%2FNOBODY", "<D>/<W>/NOBODY;x=1", "<D>/<W>;x=1/NOBODY", "<;>/<W>/NOBODY", "<D>/<W>/NOBODY#x", "<D>/<W>/NOBODY%23x", "<D>/<W>/NOBODY%3Fx",
	"<D>/./<W>/NOBODY", "<D>/<B>/../<W>/NOBODY", "<D>/<B>/%2e%2e/<W>/NOBODY", "<D>/<B>/.%2e/<W>/NOBODY", "<D>/<B>/..%2f<W>/NOBODY", "<D>/<B>/%2e%2e%2f<W>/NOBODY", "<D>/<B>/..;/<W>/NOBODY",
	`<D>/<W>\NOBODY`, `<D>/<B>\..\<W>/NOBODY`, "<D>/<B>/..%5c<W>/NOBODY", "<D>/%c0%af<W>/NOBODY", "<D>/<B>/%c0%ae%c0%ae/<W>/NOBODY",
	"<D>/<C>/NOBODY", "<U>/<W>/NOBODY", "<U>/<C>/NOBODY", "<D>/<W>", "<D>/<W>/", "<D>/<W>/{NOBODY}",
}

// spellings returns other paths that may call a chatflow.
func (t *target) spellings() (paths []string) {
	replace := strings.NewReplacer(
		"<D>", t.dir, "<W>", t.word, "<B>", t.beside,
		"<w>", t.word[:1], "<R>", t.word[1:], "<X>", fmt.Sprintf("%02x", t.word[0]), "<#>", fmt.Sprint(t.word[0]), // its first letter, the rest of it, the letter's number
		"<U>", strings.ToUpper(t.dir), "<C>", strings.ToUpper(t.word),
		// dir with encoded slashes, an encoded letter, a double slash, a parameter
		"<S>", strings.ReplaceAll(strings.TrimPrefix(t.dir, "/"), "/", "%2F"), "<E>", strings.Replace(t.dir, "/a", "/%61", 1), "<2>", strings.Replace(t.dir, "/v", "//v", 1), "<;>", strings.Replace(t.dir, "/v", ";x/v", 1),
	)
	seen := map[string]bool{t.call(): true}
	for _, s := range spellingTemplates {
		if p := replace.Replace(s); !seen[p] {
			seen[p] = true
			paths = append(paths, p)
		}
	}
	return append(paths, t.more...)
}
