package flowise

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

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
	fmt.Fprintf(&b, "%s has %s and %s.\n", c.source.title(), count(len(c.source.Chatflows), "chatflow"), count(len(c.source.Keys), "key"))
	section(&b, c.keyed, "had a key and asks for the same one", "have a key and ask for the same one", func(f *flow) string { return f.String() + ", key " + f.key.id },
		"Nothing changes for clients that send their key as `Authorization: Bearer KEY`. It is forwarded, because Flowise asks for it too.",
		"Once Flowise can only be reached through the gate, remove the key from the chatflow in Flowise, and `upstream_authorization` from the file:",
		"until then every request waits for Flowise's slow check as well, and Flowise refuses any other key, also a rotated one.")
	if c.public {
		section(&b, c.open, "has no key and stays public", "have no key and stay public", (*flow).String)
	} else {
		section(&b, c.open, "was public and is closed now", "were public and are closed now", (*flow).String,
			"`flowlatch key new --id NAME --chatflow ID` makes a key for one; --public-stays-public would leave all of them public.")
	}
	section(&b, c.orphaned, "is closed, because its key in Flowise is deleted or not shown", "are closed, because their keys in Flowise are deleted or not shown", func(f *flow) string {
		return f.String() + ", key " + quoted(f.KeyID)
	}, "If clients have such a key, read Flowise with the account that administers it: Flowise hides keys with more permissions from other accounts.")
	section(&b, c.uncallable, "cannot be called through the gate", "cannot be called through the gate", (*flow).String,
		"Their IDs are no lower-case UUIDs. Make a copy in Flowise, which gets one, and have clients use that.")
	c.reportKeys(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// reportKeys reports what is odd about keys.
func (c *Conversion) reportKeys(b *bytes.Buffer) {
	named := func(k *key) string { return quoted(k.Name) }
	section(b, c.unused, "opens no chatflow and is in a comment of the file", "open no chatflow and are in a comment of the file", func(k *key) string { return k.id })
	section(b, c.secretless, "is left out, because Flowise does not show its secret", "are left out, because Flowise does not show their secrets", named)
	twice := slices.SortedFunc(maps.Keys(c.duplicateOf), func(a, b *key) int { return strings.Compare(a.ID, b.ID) })
	section(b, twice, "has the same secret as another and got its ID", "have the same secret as others and got their IDs", func(k *key) string {
		return named(k) + ", now " + c.duplicateOf[k].id
	})
	unfit := slices.DeleteFunc(slices.Clone(c.keys), func(k *key) bool { return keystore.ValidateSecret(k.Secret) == nil })
	section(b, unfit, "can be guessed or cannot be sent", "can be guessed or cannot be sent", func(k *key) string { return k.id },
		fmt.Sprintf("Their secrets have fewer than %d characters, or some that no Bearer token has.\nOnce their chatflows have no key in Flowise any more, `flowlatch key rotate --id NAME` replaces them.", keystore.MinSecretLen))
}

// section writes how many things something is true of, the first of them, and what to do.
func section[T any](b *bytes.Buffer, things []T, one, many string, line func(T) string, remarks ...string) {
	if len(things) == 0 {
		return
	}
	noun := "chatflow"
	if _, ok := any(things[0]).(*key); ok {
		noun = "key"
	}
	verb := many
	if len(things) == 1 {
		verb = one
	}
	fmt.Fprintf(b, "\n%s %s:\n", count(len(things), noun), verb)
	for i, t := range things {
		if i == maxReported {
			fmt.Fprintf(b, "  and %d more\n", len(things)-i)
			break
		}
		fmt.Fprintf(b, "  %s\n", line(t))
	}
	for _, r := range remarks {
		fmt.Fprintln(b, r)
	}
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
