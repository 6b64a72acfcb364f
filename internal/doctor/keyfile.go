package doctor

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin"
)

const keyFileCheck = "key file"

// keyFile looks at the key file.
func (e *examination) keyFile() {
	if e.KeyFile == "" {
		e.add(keyFileCheck, NotChecked, "name it with --key-file to have it checked")
		return
	}
	store, err := keystore.Open(e.KeyFile, keystore.Options{})
	if err != nil {
		e.add(keyFileCheck, Open, "it is invalid, so the gate would not start with it: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	s := store.Snapshot()
	e.add(keyFileCheck, OK, "keys: %d, chatflows: %d", len(s.Keys()), len(s.Chatflows()))
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

// chatflow looks for chatflows that are open to more than was perhaps meant.
func (e *examination) chatflow(c *keystore.Chatflow) {
	switch {
	case c.Public:
		e.add(keyFileCheck, Look, "chatflow %s asks for no key (line %d: public); anyone can use it and spend on its model", c.Label(), c.Line)
	case c.ID == keystore.EveryChatflow:
		e.add(keyFileCheck, Look, `keys that open every chatflow, also those made tomorrow (line %d: "*"): %d`, c.Line, len(c.Keys()))
	}
}

// key looks for keys that open nothing, or soon will.
func (e *examination) key(k *keystore.Key, used bool) {
	end := k.NotAfter()
	switch v := k.Validity(e.now); {
	case !used:
		e.add(keyFileCheck, Look, "key %s opens no chatflow (line %d); list it under one, or remove it", k.ID, k.Line)
	case v == keystore.Valid && !end.IsZero() && end.Before(e.now.Add(admin.ExpiresSoon)):
		e.add(keyFileCheck, Look, "key %s expires at %s; `flowlatch key rotate --id %s` makes its next secret", k.ID, end.Format(time.RFC3339), k.ID)
	case v == keystore.Expired:
		e.add(keyFileCheck, Look, "key %s expired at %s; remove it if nobody needs it (line %d)", k.ID, end.Format(time.RFC3339), k.Line)
	}
}

// plainSecrets looks for who can read the key file.
func (e *examination) plainSecrets(keys int) {
	result, readers := Look, ""
	if info, err := os.Stat(e.KeyFile); err == nil && info.Mode().Perm()&0o044 != 0 {
		result, readers = Open, fmt.Sprintf(", and others than its owner can read the file (mode %04o; chmod 600)", info.Mode().Perm())
	}
	e.add(keyFileCheck, result, "keys in plain text: %d%s; `flowlatch check` shows the digest to replace each with", keys, readers)
}
