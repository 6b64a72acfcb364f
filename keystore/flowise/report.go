package flowise

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
)

// maxReported is how many things of a kind are reported one by one; the file lists all.
const maxReported = 20

// title names the Flowise that was read.
func (in *Installation) title() string {
	version := ""
	if in.Version != "" {
		version = " " + printable(in.Version)
	}
	return "Flowise" + version + " at " + printable(in.URL)
}

// Report tells the operator what was found and what changes for callers.
func (c *Conversion) Report(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s has %s and %s.\n", c.source.title(), count(len(c.source.Chatflows), "chatflow"), count(len(c.source.Keys), "key"))
	section(&b, c.keyed, "had a key and asks for the same one", "have a key and ask for the same one", func(f *flow) string { return f.String() + ", key " + f.key.id },
		"Callers go on as they do, if they send their key as `Authorization: Bearer KEY`. It is forwarded, because Flowise asks for it too.",
		"Once Flowise can be reached through the gate alone, take the key off the chatflow in Flowise and `upstream_authorization` out of the file:",
		"until then every call waits for Flowise's slow check as well, and any other key for it, a rotated one too, is refused by Flowise.")
	if c.public {
		section(&b, c.open, "has no key and stays open to anyone", "have no key and stay open to anyone", (*flow).String)
	} else {
		section(&b, c.open, "was open to anyone and is closed now", "were open to anyone and are closed now", (*flow).String,
			"`flowlatch key new --id NAME --chatflow ID` makes a key for one; --public-stays-public would leave all of them open.")
	}
	section(&b, c.orphaned, "is closed, because its key in Flowise is deleted or not shown", "are closed, because their keys in Flowise are deleted or not shown", func(f *flow) string {
		return f.String() + ", key " + quoted(f.KeyID)
	}, "If callers have such a key, read Flowise with the account that administers it: others are not shown keys that may do more than they may.")
	section(&b, c.uncallable, "cannot be called through the gate", "cannot be called through the gate", (*flow).String,
		"Their IDs are no lower-case UUIDs. Make a copy in Flowise, which gets one, and have callers use that.")
	c.reportKeys(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// reportKeys tells what is odd about keys.
func (c *Conversion) reportKeys(b *bytes.Buffer) {
	named := func(k *key) string { return quoted(k.Name) }
	section(b, c.unused, "opens no chatflow and stands in a comment of the file", "open no chatflow and stand in a comment of the file", func(k *key) string { return k.id })
	section(b, c.secretless, "is left out, because Flowise does not show its secret", "are left out, because Flowise does not show their secrets", named)
	var twice, unfit []*key
	for k := range c.duplicateOf {
		twice = append(twice, k)
	}
	slices.SortFunc(twice, func(a, b *key) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	section(b, twice, "has the same secret as another and goes by its name", "have the same secret as others and go by their names", func(k *key) string {
		return named(k) + ", now " + c.duplicateOf[k].id
	})
	for _, k := range c.keys {
		if keystore.ValidateSecret(k.Secret) != nil {
			unfit = append(unfit, k)
		}
	}
	section(b, unfit, "can be guessed or cannot be sent", "can be guessed or cannot be sent", func(k *key) string { return k.id },
		fmt.Sprintf("Their secrets have fewer than %d characters, or some that no Bearer token has.\nWhen their chatflows have no key in Flowise any more, `flowlatch key rotate --id NAME` replaces them.", keystore.MinSecretLen))
}

// section writes how many things are in some way, the first of them, and what to do.
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
