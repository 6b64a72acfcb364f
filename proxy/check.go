package proxy

import (
	"errors"
	"fmt"

	"github.com/flowlatch/flowlatch/keystore"
)

// CheckSnapshot looks at what a key file says about files and routes, which package keystore cannot
// judge: a credential file that cannot be read is an error, a chatflow that no route could ever name
// a warning, added to the snapshot's.
func CheckSnapshot(s *keystore.Snapshot, p *Preset, routes []*Route) error {
	var errs []error
	for _, c := range s.Chatflows() {
		if u := c.UpstreamAuthorization; u.Mode == keystore.UpstreamFile {
			if _, err := p.ReadCredential(u.Path); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: chatflow %q: %w", s.File, c.Line, c.ID, err))
			}
		}
		if c.ID != keystore.EveryChatflow && !reachable(c.ID, routes) {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s:%d: no route takes a chatflow ID like %q (%s's are %s), so nobody can call it", s.File, c.Line, c.ID, p.Runner, p.IDs))
		}
	}
	return errors.Join(errs...)
}

func reachable(id string, routes []*Route) bool {
	for _, r := range routes {
		if r.isID(id) {
			return true
		}
	}
	return false
}
