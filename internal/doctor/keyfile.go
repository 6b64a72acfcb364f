package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin"
)

const keyFileCheck = "key file"

// keyFile checks the key file.
func (e *examination) keyFile() {
	if e.KeyFile == "" {
		e.add(keyFileCheck, NotChecked, "name it with --keys to have it checked")
		return
	}
	if _, err := keystore.ReadFile(e.KeyFile); err != nil && !keystore.IsDirectory(e.KeyFile) {
		e.add(keyFileCheck, Fault, "%v", keystore.ReadError(e.KeyFile, err))
		return
	}
	store, err := keystore.Open(e.KeyFile, keystore.Options{})
	if err != nil {
		e.add(keyFileCheck, Open, "it is invalid, so the gate would not start with it: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	s := store.Snapshot()
	e.keys = s
	e.sameKeys()
	e.add(keyFileCheck, OK, "%s", contents(len(s.Keys()), len(s.Chatflows()), s.Entry(keystore.EveryChatflow) != nil))
	used, plain := map[*keystore.Key]bool{}, 0
	for _, c := range s.Chatflows() {
		e.chatflow(c)
		for _, k := range c.Keys() {
			used[k] = true
		}
	}
	for _, k := range s.Keys() {
		e.key(k, used[k])
		if slices.ContainsFunc(k.Secrets(), func(s keystore.Secret) bool { return s.Plain }) {
			plain++
		}
	}
	if plain > 0 {
		e.plainSecrets(plain)
	}
}

// sameKeys says whether the gate has applied the key file.
func (e *examination) sameKeys() {
	const check = "--keys"
	hash := e.keys.Hash()
	switch g := e.status; {
	case g == nil:
		e.add(check, NotChecked, "that the gate has applied %s could not be proved without the gate's admin listener (see %s)", e.KeyFile, adminCheck)
	case g.KeysHash == hash:
		e.keysProven = true
		e.add(check, OK, "the gate has applied %s (hash %s)", e.KeyFile, hash)
	case g.Stale:
		e.add(check, Fault, "the gate has not applied %s (hash %s), but an older key file (hash %s): see active keys", e.KeyFile, hash, g.KeysHash)
	default:
		e.add(check, Fault, "the gate has not applied %s (hash %s): it reads %s (hash %s); name that with --keys, or ask again in a few seconds if it was changed just now", e.KeyFile, hash, g.Settings.Keys, g.KeysHash)
	}
}

// chatflow reports a chatflow that may be open to more clients than intended.
func (e *examination) chatflow(c *keystore.Chatflow) {
	switch {
	case c.Public:
		e.add(keyFileCheck, Look, "chatflow %s asks for no key (%s: public); anyone can use it and spend on its model", c.Label(), e.where(c.Line, c.Place()))
	case c.ID == keystore.EveryChatflow:
		e.add(keyFileCheck, Look, `keys that open every chatflow, also those made tomorrow (%s: "*"): %d`, e.where(c.Line, c.Place()), len(c.Keys()))
	}
}

// key reports a key that opens nothing, or will soon open nothing.
func (e *examination) key(k *keystore.Key, used bool) {
	end := k.NotAfter()
	switch v := k.Validity(e.now); {
	case v == keystore.Honey:
	case !used:
		e.add(keyFileCheck, Look, "key %s opens no chatflow (%s); list it under one, or remove it", k.ID, e.where(k.Line, k.Place()))
	case v == keystore.Valid && !end.IsZero() && end.Before(e.now.Add(admin.ExpiresSoon)):
		e.add(keyFileCheck, Look, "key %s expires at %s; `flowlatch key rotate --keys %s --id %s` makes its next secret", k.ID, end.Format(time.RFC3339), keystore.ForShell(e.KeyFile), k.ID)
	case v == keystore.Expired:
		e.add(keyFileCheck, Look, "key %s expired at %s; remove it if nobody needs it (%s)", k.ID, end.Format(time.RFC3339), e.where(k.Line, k.Place()))
	}
}

// where says on which line something is, and in which file if there are several.
func (e *examination) where(line int, place string) string {
	if e.keys.IsDirectory() {
		return filepath.Base(place)
	}
	return fmt.Sprintf("line %d", line)
}

// plainSecrets reports how many keys have plain-text secrets, and whether every user of this machine can read them.
func (e *examination) plainSecrets(keys int) {
	result, readers, readable := Look, "", 0
	for _, f := range e.keys.Files() {
		if !f.EveryoneReads() {
			continue
		}
		if readable++; readable == 1 {
			result, readers = Open, fmt.Sprintf("; every user of this machine can read the file (`chmod o-r %s` ends that)", keystore.ForShell(f.Path))
		}
	}
	if readable > 1 {
		readers += fmt.Sprintf(" and %d more", readable-1)
	}
	e.add(keyFileCheck, result, "keys in plain text: %d%s; `flowlatch check` shows the digest to replace each with", keys, readers)
}
