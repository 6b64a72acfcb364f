package admin

import (
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// KeyStatus is one key, without its secrets and their digests.
type KeyStatus struct {
	ID        string    `json:"id"`
	Owner     string    `json:"owner,omitempty"`
	Status    string    `json:"status"` // as "valid", "disabled", "expired", "not_yet_valid" or "honey"
	Secrets   int       `json:"secrets"`
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"` // when it last let a request through, or when such a request ended
	// Generation is that of the key file in which the key was added or last changed.
	Generation uint64 `json:"generation"`
	// OpenRequests are those that the key opened and that have not ended.
	OpenRequests int64 `json:"open_requests"`
	// The counts are of all requests that presented the key, including those that were refused because it is disabled
	// or has expired.
	CountStatus
	// Limits say what the key has used of its quotas and of its requests at once. They are left out of a status of many
	// keys.
	Limits []LimitStatus `json:"limits,omitempty"`
	// Browser says in one line what browser tokens of the key may do; empty if there are none.
	Browser string `json:"browser,omitempty"`
	// SecretUse is when each secret was last used, if the key has more than one.
	SecretUse []SecretStatus `json:"secret_use,omitempty"`
}

// SecretStatus is one secret of a key.
type SecretStatus struct {
	Fingerprint string    `json:"fingerprint"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	LastUsed    time.Time `json:"last_used,omitzero"`
}

// OneKey is what `GET /status?key=ID` shows. It costs the gate little however many keys it has.
type OneKey struct {
	Generation uint64     `json:"generation"`
	KeysHash   string     `json:"keys_hash"` // see keystore.Snapshot.Hash
	Key        *KeyStatus `json:"key"`       // null if the gate has no such key
}

func (a *Admin) serveKey(w http.ResponseWriter, id string) {
	now, snapshot := a.proxy.Now(), a.opts.Store.Snapshot()
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
		NotBefore: k.NotBefore(), NotAfter: k.NotAfter(), LastUsed: use.LastUsed.UTC(),
		OpenRequests: use.Open, CountStatus: countStatus(use.Counts), Browser: k.Browser.String(),
	}
	if len(k.Secrets()) > 1 {
		for _, secret := range k.Secrets() {
			s.SecretUse = append(s.SecretUse, SecretStatus{
				Fingerprint: secret.Fingerprint(), NotBefore: secret.NotBefore(), NotAfter: secret.NotAfter(),
				LastUsed: use.SecretLastUsed(secret.Digest).UTC(),
			})
		}
	}
	return s
}
