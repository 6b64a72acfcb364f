package flowise

import (
	"bytes"
	"fmt"
	"io"
)

// Report tells the operator what is new, as lines that begin with +, and what else differs.
func (u *Update) Report(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s. Chatflows: %d. Keys: %d.\n", u.source.title(), len(u.source.Chatflows), len(u.source.Keys))
	section(&b, "New keys", u.Keys, func(k NewKey) string {
		line := "+ " + k.ID
		if k.ID != k.name {
			line += ", in Flowise " + quoted(k.name)
		}
		for _, c := range k.Chatflows {
			line += ", for " + c
		}
		return line
	})
	section(&b, "New chatflows", u.Chatflows, func(c NewChatflow) string {
		line := "+ " + c.ID
		if c.Name != "" {
			line += "  " + quoted(c.Name)
		}
		if c.Public {
			return line + ", public"
		}
		return line + ", key " + c.Key
	})
	section(&b, "New names of chatflows", u.names, func(n named) string { return "+ " + n.id + "  " + quoted(n.inFlowise) })
	section(&b, "Not added, because they have no key in Flowise, where anyone can call them", u.closed, (*flow).String,
		"`flowlatch key grant --id NAME --chatflow ID` opens one to a key; --public-stays-public would make all of them public.")
	section(&b, "Not added, because their keys in Flowise are deleted or not shown", u.orphaned, (*flow).String)
	section(&b, "Not granted, because the file has the key and does not list it for the chatflow: somebody may have taken it away", u.withheld,
		func(f *flow) string { return f.String() + ", key " + f.key.id }, "`flowlatch key grant --id NAME --chatflow ID` does it.")
	section(&b, "Not added, because the file has a key of this name with other secrets: perhaps it was rotated", u.replaced,
		func(k *key) string { return keyID(k.Name) + ", in Flowise " + quoted(k.Name) }, "If it is another key, give it another name in Flowise.")
	section(&b, "Not added, because their key is not", u.blocked, (*flow).String)
	section(&b, "Names that differ, and stay as the file has them", u.renamed, func(n named) string {
		return n.id + "  " + quoted(n.is) + ", in Flowise " + quoted(n.inFlowise)
	})
	section(&b, "Chatflows that Flowise does not have any more, and that stay in the file", u.gone, quoted)
	_, err := w.Write(b.Bytes())
	return err
}
