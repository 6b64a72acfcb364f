package proxy_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	s, err := keystore.Parse("keys.yaml", []byte(keyFile+publicEntry))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	const (
		flow      = route.ChatflowKey
		anyKey    = route.AnyKey
		listed    = route.ListedOnly
		public    = route.Public
		missing   = problem.MissingKey
		invalid   = problem.InvalidKey
		notFor    = problem.KeyNotForChatflow
		malformed = "\x00" // a Bearer credential that is not a token
	)
	tests := []struct {
		access   route.Access
		chatflow string
		token    string
		want     problem.Code // empty if allowed
	}{
		{flow, botA, secretA, ""},
		{flow, botA, secretOps, ""},
		{flow, unlisted, secretOps, ""},
		{flow, botPublic, "", ""},
		{flow, botPublic, secretExpired, ""},
		{flow, botPublic, malformed, ""},
		{flow, botA, "", missing},
		{flow, unlisted, "", missing},
		{flow, "", "", missing},
		{flow, botA, malformed, invalid},
		{flow, botA, "x", invalid},
		{flow, botA, secretExpired, invalid},
		{flow, botA, secretDisabled, invalid},
		{flow, botA, secretFuture, invalid},
		{flow, unlisted, "x", invalid},
		{flow, botA, keystore.DigestOf(secretA).String(), invalid}, // the digest is not a secret
		{flow, botB, secretA, notFor},
		{flow, unlisted, secretA, notFor},
		{flow, "", secretA, notFor},
		{flow, keystore.EveryChatflow, secretA, notFor},
		{anyKey, "", secretA, ""},
		{anyKey, "", secretB, ""},
		{anyKey, "", "", missing},
		{anyKey, "", secretExpired, invalid},
		{anyKey, botPublic, "", missing},
		{listed, botA, "", ""},
		{listed, botA, "x", ""},
		{listed, unlisted, "", missing},
		{listed, unlisted, secretA, notFor},
		{listed, unlisted, secretOps, ""},
		{public, "", "", ""},
		{public, "", "x", ""},
	}
	for _, tt := range tests {
		q := proxy.Question{Access: tt.access, Chatflow: tt.chatflow, Bearer: route.Bearer{Token: tt.token, Present: tt.token != ""}}
		if tt.token == malformed {
			q.Bearer.Token = ""
		}
		d := proxy.Decide(s, q, now)
		var got problem.Code
		if d.Refusal != nil {
			got = d.Refusal.Code
		}
		if got != tt.want || d.Allowed != (tt.want == "") {
			t.Errorf("Decide(%+v) = allowed %t, %q, want %q", q, d.Allowed, got, tt.want)
		}
	}
}

// TestDecideByAddressAndGroup has a key that may be used only from some networks, and only for one group.
func TestDecideByAddressAndGroup(t *testing.T) {
	t.Parallel()
	s, err := keystore.Parse("keys.yaml", []byte("version: 1\nkeys:\n- id: k\n  secret: "+secretA+
		"\n  from: [203.0.113.0/24, \"2001:db8::/32\"]\n  groups: [predict]\nchatflows:\n- {id: "+botA+", keys: [k]}\n- {id: "+botPublic+", public: true}\n"))
	if err != nil {
		t.Fatal(err)
	}
	key := s.Key("k")
	const address, group = "from", "groups"
	for _, tt := range []struct {
		access         route.Access
		chatflow       string
		client, group  string
		key            *keystore.Key // if nil, its secret is sent
		allowed, opens bool
		reason         string // a part of it
	}{
		{route.ChatflowKey, botA, "203.0.113.7", "predict", nil, true, true, ""},
		{route.ChatflowKey, botA, "2001:db8::1", "predict", nil, true, true, ""},
		{route.ChatflowKey, botA, "203.0.114.7", "predict", nil, false, false, address},
		{route.ChatflowKey, botA, "", "predict", nil, false, false, address}, // the client's address is not known
		{route.ChatflowKey, botA, "203.0.113.7", "upsert", nil, false, false, group},
		{route.ChatflowKey, botA, "203.0.113.7", "", nil, false, false, group},
		{route.ChatflowKey, botB, "203.0.114.7", "upsert", nil, false, false, address},
		{route.AnyKey, "", "203.0.113.7", "predict", nil, true, true, ""},
		{route.AnyKey, "", "203.0.114.7", "predict", nil, false, false, address},
		{route.ChatflowKey, botPublic, "203.0.114.7", "upsert", nil, true, false, ""},
		{route.ListedOnly, botA, "203.0.114.7", "predict", nil, true, false, ""},
		{route.ChatflowKey, botA, "", "predict", key, true, true, ""}, // the question is about the key alone
		{route.ChatflowKey, botA, "203.0.114.7", "predict", key, false, false, address},
		{route.ChatflowKey, botA, "", "upsert", key, false, false, group},
	} {
		q := proxy.Question{Access: tt.access, Chatflow: tt.chatflow, Group: tt.group, Key: tt.key}
		if tt.client != "" {
			q.Client = netip.MustParseAddr(tt.client)
		}
		if tt.key == nil {
			q.Bearer = route.Bearer{Token: secretA, Present: true}
		}
		d := proxy.Decide(s, q, time.Now())
		if d.Allowed != tt.allowed || d.Opens != tt.opens {
			t.Errorf("Decide(%+v) = allowed %t, opens %t, want %t, %t", q, d.Allowed, d.Opens, tt.allowed, tt.opens)
		}
		if !tt.allowed && (d.Refusal.Code != problem.KeyNotForChatflow || !strings.Contains(d.Refusal.Reason, tt.reason)) {
			t.Errorf("Decide(%+v) = %s, %q, want a reason with %q", q, d.Refusal.Code, d.Refusal.Reason, tt.reason)
		}
	}
}

// TestDecideByTheClock: keys become valid and expire without a reload.
func TestDecideByTheClock(t *testing.T) {
	t.Parallel()
	from, until := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	content := "version: 1\nkeys:\n- {id: k, secret: " + secretA + ", not_before: 2026-01-01T00:00:00Z, not_after: 2026-02-01T00:00:00Z}\nchatflows:\n- {id: " + botA + ", keys: [k]}\n"
	s := openStore(t, testkit.WriteFile(t, "keys.yaml", content)).Snapshot()
	for at, want := range map[time.Time]bool{
		from.Add(-time.Nanosecond): false, from: true, until.Add(-time.Nanosecond): true, until: false,
	} {
		q := proxy.Question{Chatflow: botA, Bearer: route.Bearer{Token: secretA, Present: true}}
		if got := proxy.Decide(s, q, at).Allowed; got != want {
			t.Errorf("Decide(…, %v) = %t, want %t", at, got, want)
		}
	}
}

// TestDecideAllocates: no decision allocates. Refusals must not cost more than other decisions, or a flood of wrong keys
// could bring the gate down.
func TestDecideAllocates(t *testing.T) {
	// Secrets as long as generated ones: a shorter one might fit where a longer one does not.
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
