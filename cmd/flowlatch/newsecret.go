package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// newSecret has the flag of commands that make a secret. The secret is handed out before the key file changes: a key
// whose secret nobody has is worse than a secret that opens nothing.
type newSecret struct {
	Out string `placeholder:"FILE" help:"Put the secret into this new file, which only you may read, instead of printing it. A file that exists is never overwritten."`
}

// deliver edits the key file so that it has the digest of secret, and hands the secret out just before the file is
// replaced. If the edit fails, the error says what became of the secret.
func (n *newSecret) deliver(k *keyEdit, keys string, s streams, secret string, change edit.Func) error {
	delivered := false
	before := func() error {
		if err := n.handOut(k, keys, s, secret); err != nil {
			return fmt.Errorf("%s is unchanged: the new secret cannot be handed out: %w", keys, err)
		}
		delivered = true
		return nil
	}
	err := k.editAfter(before, keys, s, change)
	switch {
	case err == nil || !delivered:
		return err
	case errors.Is(err, edit.ErrChanged):
		n.tell(k, s, "the key file has a new secret")
		return err
	case n.Out == "":
		return fmt.Errorf("%w\nthe secret that was printed opens nothing: discard it", err)
	}
	if removeErr := os.Remove(n.Out); removeErr != nil {
		return fmt.Errorf("%w\nthe secret in %s opens nothing: remove it (%w)", err, n.Out, removeErr)
	}
	return err
}

// handOut writes the secret to the file of --out, or prints it.
func (n *newSecret) handOut(k *keyEdit, keys string, s streams, secret string) error {
	if n.Out == "" {
		return n.print(k, s, secret)
	}
	if k.directory != "" && keystore.IsKeyFile(filepath.Base(n.Out)) && isSame(filepath.Dir(n.Out), k.directory) {
		return fmt.Errorf("--out: %s would be a key file of the directory; name one elsewhere", n.Out)
	}
	if err := edit.Create(n.Out, []byte(secret+"\n")); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	made, err := os.Stat(n.Out)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if key, err := os.Stat(keys); err == nil && os.SameFile(made, key) { // the key file did not exist, and the edit would replace the secret
		os.Remove(n.Out)
		return fmt.Errorf("--out: %s is the key file; name another file for the secret", n.Out)
	}
	return nil
}

// isSame reports whether two paths lead to the same directory.
func isSame(a, b string) bool {
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(first, second)
}

// print prints the secret, alone on a line, and returns an error unless it was written.
func (n *newSecret) print(k *keyEdit, s streams, secret string) error {
	to := s.out
	if k.Stdout {
		to = s.err // standard output has the file
	}
	signal.Ignore(syscall.SIGPIPE) // a reader that has gone is an error like any other
	f, isFile := to.(*os.File)
	if isFile && isNull(f) {
		return fmt.Errorf("it would be printed to %s and lost; use --out FILE", os.DevNull)
	}
	if _, err := io.WriteString(to, secret+"\n"); err != nil {
		return err
	}
	if isFile {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return f.Sync()
		}
	}
	return nil
}

// isNull reports whether f is the null device. Go also opens it in place of a standard output that was closed.
func isNull(f *os.File) bool {
	info, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && nullErr == nil && os.SameFile(info, null)
}

// tell says what was done, and where the secret is.
func (n *newSecret) tell(k *keyEdit, s streams, done string) {
	switch {
	case n.Out != "":
		fmt.Fprintf(s.err, "%s; its new secret is in %s and nowhere else\n", done, n.Out)
	case !k.Stdout:
		fmt.Fprintf(s.err, "%s; its new secret was printed and is not stored anywhere\n", done)
	}
}

// warnForwarded warns of chatflows that forward the key's new secret to the upstream. An upstream that checks keys
// itself, as Flowise does after an import, refuses a secret that was made here.
func warnForwarded(w io.Writer, file string, data []byte, id string) {
	s, err := edit.Parse(file, data)
	if err != nil { // the edit has failed
		return
	}
	var forwarded []string
	for _, c := range s.Chatflows() {
		if c.UpstreamAuthorization.Mode == keystore.UpstreamForward && c.ListsID(id) {
			forwarded = append(forwarded, c.Label())
		}
	}
	if len(forwarded) > 0 {
		fmt.Fprintf(w, "warning: the upstream gets this secret, too (upstream_authorization: forward of %s), and refuses it if it checks keys itself\n", few(forwarded))
	}
}
