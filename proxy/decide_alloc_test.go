package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestDecideAllocates checks that no decision allocates, whatever it is: refusing must not cost more
// than letting through, or a flood of wrong keys would be a way to be shut down.
func TestDecideAllocates(t *testing.T) {
	// Secrets as long as those that are made, since a shorter one may fit where a longer one does not.
	typed, own := keystore.Generate(), keystore.Generate()
	mistyped := typed[:len(typed)-1] + "~"
	file := strings.ReplaceAll(keyFile+publicEntry, secretB, own)
	s, err := keystore.Parse("keys.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, test := range []struct {
		name     string
		question proxy.Question
		allowed  bool
	}{
		{"key of the chatflow", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: secretA}}, true},
		{"key of ours", proxy.Question{Chatflow: botB, Bearer: route.Bearer{Token: own}}, true},
		{"key of every chatflow", proxy.Question{Chatflow: unlisted, Bearer: route.Bearer{Token: secretOps}}, true},
		{"any key", proxy.Question{Access: route.AnyKey, Bearer: route.Bearer{Token: own}}, true},
		{"public chatflow", proxy.Question{Chatflow: botPublic}, true},
		{"listed chatflow", proxy.Question{Access: route.ListedOnly, Chatflow: botA}, true},
		{"public route", proxy.Question{Access: route.Public}, true},
		{"no key", proxy.Question{Chatflow: botA}, false},
		{"malformed token", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Present: true}}, false},
		{"unknown key", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: "nobodys-secret-0123456789"}}, false},
		{"unknown key of ours", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: typed}}, false},
		{"mistyped key", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: mistyped}}, false},
		{"cut key", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: typed[:20]}}, false},
		{"key of another chatflow", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: own}}, false},
		{"chatflow not listed", proxy.Question{Chatflow: unlisted, Bearer: route.Bearer{Token: secretA}}, false},
		{"expired key", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: secretExpired}}, false},
		{"disabled key", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: secretDisabled}}, false},
		{"key of the future", proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: secretFuture}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := test.question
			q.Bearer.Present = q.Bearer.Present || q.Bearer.Token != ""
			var d proxy.Decision
			if got := testing.AllocsPerRun(100, func() { d = proxy.Decide(s, q, now) }); got != 0 {
				t.Errorf("allocations of Decide(%+v) = %v, want 0", q, got)
			}
			if d.Allowed != test.allowed || (d.Refusal == nil) != test.allowed {
				t.Errorf("Decide(%+v) = %+v, want allowed %t", q, d, test.allowed)
			}
		})
	}
}
