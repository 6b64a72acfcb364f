package admin

import (
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// OneKey is what `GET /status?key=ID` shows. It costs the gate little however many keys it has.
type OneKey struct {
	Generation uint64     `json:"generation"`
	KeysHash   string     `json:"keys_hash"` // see keystore.Snapshot.Hash
	Key        *KeyStatus `json:"key"`       // null if the gate has no such key
}

func (a *Admin) serveKey(w http.ResponseWriter, id string) {
	now := time.Now()
	if a.opts.Now != nil {
		now = a.opts.Now()
	}
	snapshot := a.opts.Store.Snapshot()
	s := OneKey{Generation: a.opts.Store.Status().Generation, KeysHash: snapshot.Hash()}
	if k := snapshot.Key(id); k != nil {
		status := a.oneKey(k, now)
		status.Limits = a.limitStatus(k, now)
		s.Key = &status
	}
	writeJSON(w, http.StatusOK, s)
}

// oneKey returns the status of a key.
func (a *Admin) oneKey(k *keystore.Key, now time.Time) KeyStatus {
	use := a.proxy.Stats().KeyUse(k.ID)
	s := KeyStatus{
		ID: k.ID, Owner: k.Owner, Status: k.Validity(now).String(), Secrets: len(k.Secrets()), Generation: k.Since(),
		NotBefore: optional(k.NotBefore()), NotAfter: optional(k.NotAfter()), LastUsed: optional(use.LastUsed),
		OpenRequests: use.Open, CountStatus: countStatus(use.Counts),
	}
	if k.Browser != nil {
		s.Browser = k.Browser.String()
	}
	if len(k.Secrets()) > 1 {
		for _, secret := range k.Secrets() {
			s.SecretUse = append(s.SecretUse, SecretStatus{
				Fingerprint: secret.Fingerprint(), NotBefore: optional(secret.NotBefore()), NotAfter: optional(secret.NotAfter()),
				LastUsed: optional(use.SecretLastUsed(secret.Digest)),
			})
		}
	}
	return s
}
