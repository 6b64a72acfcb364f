package signin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// The bounds of sessions.
const (
	// Idle is how long a session lasts without a request.
	Idle = 30 * time.Minute
	// lifetime is how long a session lasts at most.
	lifetime = 12 * time.Hour
	// maxSessions is how many there can be. Beyond it the one that was used least recently ends.
	maxSessions = 64
)

// Session is somebody who has signed in. All methods may be called concurrently.
type Session struct {
	// Name is what the log calls the session. The cookie cannot be derived from it.
	Name string

	token keystore.Digest // digest of the admin token that began the session
	began time.Time
	used  time.Time // guarded by the mutex of sessions

	mu   sync.Mutex
	note any
}

// Leave leaves a note for the next page of the session. It replaces an earlier one.
func (s *Session) Leave(note any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note = note
}

// Take returns the note, once; nil if there is none.
func (s *Session) Take() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	note := s.note
	s.note = nil
	return note
}

// sessions are in memory: a restart of the gate ends them. They are kept by the digest of the cookie's value, so that
// no comparison gives away how much of a value was right.
type sessions struct {
	mu       sync.Mutex // guards byDigest
	byDigest map[keystore.Digest]*Session
}

// begin begins a session, and returns the value of its cookie.
func (s *sessions) begin(token keystore.Digest, now time.Time) (cookie string) {
	cookie = rand.Text() // 130 bits
	digest := keystore.DigestOf(cookie)
	name := sha256.Sum256(digest[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byDigest) >= maxSessions {
		s.forgetOldest()
	}
	s.byDigest[digest] = &Session{Name: hex.EncodeToString(name[:4]), token: token, began: now, used: now}
	return cookie
}

func (s *sessions) forgetOldest() {
	var oldest keystore.Digest
	var used time.Time
	for digest, session := range s.byDigest {
		if used.IsZero() || session.used.Before(used) {
			oldest, used = digest, session.used
		}
	}
	delete(s.byDigest, oldest)
}

// find returns the session of a cookie, if it has not ended, and notes that it is used.
func (s *sessions) find(cookie string, token keystore.Digest, now time.Time) *Session {
	digest := keystore.DigestOf(cookie)
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.byDigest[digest]
	if session == nil {
		return nil
	}
	if session.token != token || now.Sub(session.used) >= Idle || now.Sub(session.began) >= lifetime {
		delete(s.byDigest, digest)
		return nil
	}
	session.used = now
	return session
}

func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byDigest, keystore.DigestOf(cookie))
}
