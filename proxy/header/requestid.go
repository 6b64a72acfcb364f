package header

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"regexp"
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// RequestID returns a request's ID: the one that a trusted peer sent, or a new one.
func RequestID(r *http.Request, trusted []netip.Prefix) string {
	if len(trusted) > 0 && contains(trusted, peerIP(r)) {
		if id := r.Header.Get("X-Request-Id"); requestIDPattern.MatchString(id) {
			return id
		}
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
