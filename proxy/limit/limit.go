// Package limit counts what keys, chatflows, clients and users use, and says when a request exceeds a limit.
//
// The counters are kept here by ID, not in the snapshot of the key file, so a reload, a rotation or a reordered key file
// does not reset them. Authorization happens elsewhere: only requests that were allowed reach this package. It knows
// nothing of HTTP.
package limit

import (
	"net/netip"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Kind is the kind of a [Holder].
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

// isMember reports whether the number of holders of this kind is unbounded. Such holders have no quotas, and some are
// forgotten when there are too many (see [MaxClients]).
func (k Kind) isMember() bool { return k == Client || k == User }

// Holder is one of those that a request is counted against: a key, a chatflow, a client or a user.
type Holder struct {
	Kind Kind
	// ID is the key's ID or, for a [Chatflow] and a [Client], the chatflow's.
	ID string
	// Client is the address of a [Client].
	Client netip.Addr
	// User stands for a [User]. It has no colon.
	User string
	// Limits are what it may use; nil means no limits. They may differ from one request to the next.
	Limits *keystore.Limits
}

// Reason is which sort of limit was exceeded.
type Reason uint8

// The reasons, in the order in which limits are checked.
const (
	None       Reason = iota
	Concurrent        // too many requests at once
	Rate              // too many requests in a short time
	Quota             // the quota of a calendar period is used up
)

// Excess is a limit that a request exceeds.
type Excess struct {
	Reason Reason
	// Holder is the kind of the holder whose limit it is.
	Holder Kind
	// Unit is what a quota counts.
	Unit keystore.Unit
	// Limit is the limit as the key file has it, such as 10/1s.
	Limit string
	// RetryAfter is how long to wait until a retry can succeed, if nobody else uses what is left.
	RetryAfter time.Duration
}

// Verdict is the outcome of checking a request against its limits.
type Verdict struct {
	// Refused is the limit that refused the request, which was then not counted as one. Its Reason is None if the request
	// was counted.
	Refused Excess
	// Observed is a limit that the request exceeds but that is not enforced. Its Reason is None if there is none.
	Observed Excess
	// Low says that less than a quarter is left of a rate or quota that is enforced.
	Low bool
}

// Use is what a request used besides counting as one request.
type Use struct {
	Time  time.Duration // that it spent at the upstream
	Bytes int64         // of request and response bodies
	// Unsent says that the request never reached the upstream, so quotas of requests get it back.
	Unsent bool
}
