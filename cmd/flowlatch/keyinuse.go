package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// unusedOnly has the flags of commands that disable or delete a key, which they refuse if the key is in use.
type unusedOnly struct {
	keyEdit
	config.AdminFlag
	Force bool `help:"Do it even if the key was used within the last 10 minutes, or if the gate does not say."`
}

// check tries a change in memory, and asks the gate whether the key is in use. With --force it does neither.
func (u *unusedOnly) check(c *config.Config, id string, s streams, change edit.Func) error {
	if u.Force {
		return nil
	}
	data, err := edit.Read(c.Keys)
	if err == nil {
		_, err = change(data) // a mistyped ID is reported before a gate is asked about it
	}
	if err == nil {
		err = inUse(c, u.all(c), id, s)
	}
	return err
}

// recently is how long after its last use a key counts as in use.
const recently = 10 * time.Minute

// inUse asks the gate whether a key is in use. It returns an error if it is, or if something listens at the gate's
// address but does not say. If nothing listens there, no gate is running or it is out of reach: inUse then prints that
// and returns nil.
func inUse(c *config.Config, keys, id string, s streams) error {
	one, err := doctor.Key(c.Admin, id)
	k := one.Key
	if err == nil { // the gate says which keys it has
		if store, err := keystore.Open(keys, keystore.Options{MayBeEmpty: true}); err == nil && store.Snapshot().Hash() != one.KeysHash {
			fmt.Fprintf(s.err, "the gate at %s has not applied %s as it is now, so what it says may be of another key; --admin names another gate\n", c.Admin, keys)
		}
	}
	switch {
	case errors.Is(err, doctor.ErrNoGate):
		fmt.Fprintf(s.err, "no gate listens at %s, so nobody can say whether the key is in use; --admin names another address\n", c.Admin)
	case err != nil:
		return fmt.Errorf("the gate at %s does not say whether key %q is in use: %w; ask again, name the gate's address with --admin, or do it anyway with --force", c.Admin, id, err)
	case k == nil:
		fmt.Fprintf(s.err, "the gate at %s does not have key %q, so it cannot say whether it is in use\n", c.Admin, id)
	case k.OpenRequests > 0:
		return fmt.Errorf("key %q is in use now, according to the gate at %s: open requests: %d; --force does it anyway", id, c.Admin, k.OpenRequests)
	case !k.LastUsed.IsZero() && time.Since(k.LastUsed) < recently:
		return fmt.Errorf("key %q was used at %s, according to the gate at %s; --force does it anyway", id, k.LastUsed.Format(time.RFC3339), c.Admin)
	}
	return nil
}
