package flowise

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
)

// maxReported is how many things of one kind are reported; the file lists all.
const maxReported = 20

// title is what to call the Flowise that was read.
func (in *Installation) title() string {
	version := ""
	if in.Version != "" {
		version = " " + printable(in.Version)
	}
	return "Flowise" + version + " at " + printable(in.URL)
}

// Report tells the operator what was found and what changes for clients.
func (c *Conversion) Report(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s. Chatflows: %d. Keys: %d.\n", c.source.title(), len(c.source.Chatflows), len(c.source.Keys))
	section(&b, "Chatflows with a key in Flowise, which clients keep", c.keyed, func(f *flow) string { return f.String() + ", key " + f.key.id },
		"Nothing changes for clients that send their key as `Authorization: Bearer KEY`. The gate checks it and forwards it, because Flowise checks it, too.",
		"Once Flowise can only be reached through the gate, remove the key from the chatflow in Flowise, and `upstream_authorization` from the file:",
		"until then every request waits for Flowise's slow check as well, and Flowise refuses any other key, also a rotated one.")
	if c.public {
		section(&b, "Chatflows that have no key and stay public", c.open, (*flow).String)
	} else {
		section(&b, "Chatflows that were public and are closed now", c.open, (*flow).String,
			"`flowlatch key new --id NAME --chatflow ID` makes a key for one; --public-stays-public would leave all of them public.")
	}
	section(&b, "Chatflows that are closed, because their keys in Flowise are deleted or not shown", c.orphaned, func(f *flow) string {
		return f.String() + ", key " + quoted(f.KeyID)
	}, "If clients have such a key, read Flowise with the account that administers it: Flowise hides keys with more permissions from other accounts.")
	section(&b, "Chatflows that cannot be called through the gate", c.uncallable, (*flow).String,
		"Their IDs are no lower-case UUIDs. Make a copy in Flowise, which gets one, and have clients use that.")
	c.reportKeys(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// reportKeys reports what is odd about keys.
func (c *Conversion) reportKeys(b *bytes.Buffer) {
	id := func(k *key) string { return k.id }
	section(b, "Keys that open no chatflow, in a comment of the file", c.unused, id)
	section(b, "Keys that are left out, because Flowise does not show their secrets", c.secretless, func(k *key) string { return quoted(k.Name) })
	section(b, "Keys that have the same secret as another and got its ID", c.duplicates, func(k *key) string { return quoted(k.Name) + ", now " + k.id })
	unfit := slices.DeleteFunc(slices.Clone(c.keys), func(k *key) bool { return keystore.ValidateSecret(k.Secret) == nil })
	section(b, "Keys that can be guessed or cannot be sent", unfit, id,
		fmt.Sprintf("Their secrets have fewer than %d characters, or some that no Bearer token has.\nOnce their chatflows have no key in Flowise any more, `flowlatch key rotate --id NAME` replaces them.", keystore.MinSecretLen))
}

// section writes a title with the number of things, the first of them, and remarks, such as what to do.
func section[T any](b *bytes.Buffer, title string, things []T, line func(T) string, remarks ...string) {
	if len(things) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: %d\n", title, len(things))
	for _, t := range things[:min(len(things), maxReported)] {
		fmt.Fprintf(b, "  %s\n", line(t))
	}
	if more := len(things) - maxReported; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	for _, r := range remarks {
		fmt.Fprintln(b, r)
	}
}
