package proxy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy/credential"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// CheckKeyFile returns an error if something in a key file makes no sense with this kind of upstream.
func CheckKeyFile(s *keystore.Snapshot, p *route.Preset) error {
	if name := s.FlowiseKeys(); name != "" && !p.FlowiseKeys {
		return s.FlowiseKeysFault(fmt.Sprintf("flowise_api_keys names Flowise's file of keys (%s), but the preset is %s; remove the line, or set the preset to flowise", name, p.Name))
	}
	return nil
}

// ReadByEveryone returns a warning if every user of this machine can read a file that holds a secret. It is empty if not,
// or if that is unknown.
func ReadByEveryone(path string) string {
	if !watch.EveryoneReads(path) {
		return ""
	}
	return fmt.Sprintf("every user of this machine can read %s, which holds a secret; run `chmod o-r %s`", path, keystore.ForShell(path))
}

// warnOfReaders adds a warning to the snapshot if every user of this machine can read the credential of a chatflow.
func warnOfReaders(s *keystore.Snapshot, c *keystore.Chatflow, path string) {
	if warning := ReadByEveryone(path); warning != "" {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s: chatflow %q: %s", c.Place(), c.ID, warning))
	}
}

// CheckSnapshot checks what a key file says about files and routes, which package keystore cannot judge. A credential
// file that cannot be read is an error, and so are a group that no route has, and on_disconnect: abort if the upstream
// cannot be told to abort. A chatflow that no route accepts adds a warning to the snapshot.
func CheckSnapshot(s *keystore.Snapshot, p *route.Preset, routes []*route.Route) error {
	var errs []error
	read := map[string]error{} // by path: many chatflows may name one file
	hangs := false
	for _, c := range s.Chatflows() {
		if u := c.UpstreamAuthorization; u.Mode == keystore.UpstreamFile && !hangs {
			err, known := read[u.Path]
			if !known {
				_, err = credential.Read(p, u.Path)
				read[u.Path] = err
				if err == nil {
					warnOfReaders(s, c, u.Path)
				}
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: chatflow %q: %w", c.Place(), c.ID, err))
			}
			hangs = errors.Is(err, watch.ErrTimeout) // the others may be on the same mount, and a reload must come to an end
		}
		if c.AbortOnDisconnect && !p.CanAbort() {
			errs = append(errs, fmt.Errorf("%s: chatflow %q: on_disconnect: abort: %s has no route by which a request is ended; remove the line", c.Place(), c.ID, p.Runner))
		}
		if c.ID != keystore.EveryChatflow && !slices.ContainsFunc(routes, func(r *route.Route) bool { return r.AcceptsID(c.ID) }) {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s: no route accepts a chatflow ID like %q (%s's are %s), so nobody can call it", c.Place(), c.ID, p.Runner, p.IDs))
		}
	}
	for _, k := range s.Keys() {
		for _, group := range k.Groups {
			if !slices.ContainsFunc(routes, func(r *route.Route) bool { return r.Group == group }) {
				errs = append(errs, fmt.Errorf("%s: key %q: groups: there is no group %q of routes", k.Place(), k.ID, group))
			}
		}
	}
	return errors.Join(errs...)
}
