package keystore

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Browser says that browser tokens may be minted with a key, and what they may do. A token is for a web page, whose
// visitors can read it, so it opens at most what its key opens, and usually less.
type Browser struct {
	// Origins are the origins of the pages that may use a token, as browsers send them.
	Origins []string
	// MaxTTL is how long a token may be valid.
	MaxTTL time.Duration
	// Allow are those of [BrowserMembers] that a page may send in a body.
	Allow []string
	// PerUser are the limits of each user that tokens are minted for; nil means no limit.
	PerUser *Limits
	// Cookie says that a token may come in a cookie, from pages of the gate's own origin.
	Cookie bool
	// Body is what a page may put into a request body. It follows from Allow.
	Body BodyPolicy
}

// DefaultBrowserTTL is how long a browser token may be valid where a key does not say.
const DefaultBrowserTTL = 15 * time.Minute

// maxBrowserTTL is the longest time for which a key may let a browser token be valid: what a web page holds does not stay
// secret.
const maxBrowserTTL = 24 * time.Hour

// BrowserMembers are the members of a body that a page may send only if its key allows them. They let a visitor replace a
// chatflow's prompts and credentials, have files read, or make up the conversation so far.
var BrowserMembers = []string{"overrideConfig", "uploads", "history"}

// String returns what tokens may do in one line, for people; empty if there are none.
func (b *Browser) String() string {
	if b == nil {
		return ""
	}
	parts := []string{"pages of " + strings.Join(b.Origins, ", "), "for " + shortDuration(b.MaxTTL)}
	if len(b.Allow) > 0 {
		parts = append(parts, "with "+strings.Join(b.Allow, ", "))
	}
	if !b.PerUser.Empty() {
		parts = append(parts, fmt.Sprintf("each user %s", b.PerUser))
	}
	if b.Cookie {
		parts = append(parts, "also as a cookie")
	}
	return strings.Join(parts, "; ")
}

// lacks reports whether b lacks something that o has.
func (b *Browser) lacks(o *Browser) bool {
	if b == nil || o == nil {
		return o != nil
	}
	missing := func(list, of []string) bool {
		return slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(list, s) })
	}
	return missing(b.Origins, o.Origins) || missing(b.Allow, o.Allow) || o.Cookie && !b.Cookie || b.PerUser.lacks(o.PerUser) ||
		b.MaxTTL == DefaultBrowserTTL && o.MaxTTL != DefaultBrowserTTL
}
