// Package limit counts what keys, chatflows, clients and users use, and says when they have used what they may.
//
// What counts is kept here, by ID, and not in a snapshot of the key file, so no reload, rotation or reordering resets
// it. Who may use what at all is decided elsewhere; only requests that were allowed come here. The package knows nothing
// of HTTP.
package limit

import (
	"net/netip"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Kind is what a [Holder] is.
type Kind uint8

// The kinds, in the order in which a request lists its holders.
const (
	Key      Kind = iota
	Chatflow      // all keys of a chatflow together, and clients without a key
	Client        // a client address at a chatflow
	User          // a user of a key's browser tokens
)

// Holders is how many holders a request can have: one of each kind.
const Holders = 4

// String returns the kind for people.
func (k Kind) String() string { return [Holders]string{"key", "chatflow", "client", "user"}[k] }

// isMember reports whether there may be any number of such holders. They have no quotas, and of too many some are forgotten.
func (k Kind) isMember() bool { return k == Client || k == User }

// Holder is whose use is counted together.
type Holder struct {
	Kind Kind
	// ID is that of the key or, for a [Chatflow] and a [Client], of the chatflow.
	ID string
	// Client is the address of a [Client].
	Client netip.Addr
	// User stands for a [User]. It has no colon.
	User string
	// Limits are what it may use; nil means any amount. They may change from one request to the next.
	Limits *keystore.Limits
}

// Reason is why a limit was exceeded.
type Reason uint8

// The reasons, in the order in which limits are looked at.
const (
	None       Reason = iota
	Concurrent        // too many requests at once
	Rate              // too many requests in a short time
	Quota             // the quota of a calendar period is used up
)

// Excess is a limit that a request exceeds.
type Excess struct {
	Reason Reason
	// Holder is whose limit it is.
	Holder Kind
	// Unit is what a quota counts.
	Unit keystore.Unit
	// Limit is the limit as the key file has it, such as 10/1s.
	Limit string
	// RetryAfter is when another try can succeed, if nobody else uses what is left.
	RetryAfter time.Duration
}

// Verdict is what became of a request at its limits.
type Verdict struct {
	// Refused is the limit for which the request was refused and nothing was counted. Its Reason is None if the request
	// was counted.
	Refused Excess
	// Observed is a limit that the request exceeds and that is not enforced. Its Reason is None if there is none.
	Observed Excess
	// Low says that less than a quarter is left of a limit that is enforced.
	Low bool
}

// Use is what a request has used besides being one.
type Use struct {
	Time  time.Duration // for which it was at the upstream
	Bytes int64         // of request and response bodies
	// Unsent says that it never reached the upstream: its place in quotas of requests is given back.
	Unsent bool
}
