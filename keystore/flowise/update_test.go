package flowise

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestCompare checks that an update adds what is new, and neither takes away nor gives back what somebody has taken away.
func TestCompare(t *testing.T) {
	secret := func(n string) string { return "secret-of-" + n + "-0123456789" }
	digest := func(n string) string { return keystore.DigestOf(secret(n)).String() }
	file, err := keystore.Parse("keys.yaml", []byte(`version: 1
keys:
  - {id: Web, sha256: `+digest("web")+`}
  - {id: rotated, sha256: `+digest("rotated by the gate")+`}
  - {id: off, sha256: `+digest("off")+`, disabled: true}
chatflows:
  - {id: `+nth(1)+`, name: Support, keys: [Web]}
  - {id: `+nth(2)+`, keys: [Web]}
  - {id: `+nth(3)+`, name: ours, keys: [Web]}
  - {id: `+nth(4)+`, keys: [Web]}
  - {id: `+nth(5)+`, name: gone, public: true}
  - {id: `+nth(6)+`, public: true}
  - {id: `+nth(7)+`, name: Support (2), keys: [off]}
`))
	if err != nil {
		t.Fatal(err)
	}
	source := &Installation{
		URL: "http://127.0.0.1:3000", Version: "2.2.8",
		Chatflows: []Chatflow{
			{nth(1), "Support", "web"},
			{nth(2), "named now", "web"},
			{nth(3), "theirs", "web"},
			{nth(4), "Support", "new"},           // a new key for a chatflow that is listed
			{nth(6), "open", "off"},              // public here, whatever Flowise has
			{nth(7), "Support", "web"},           // withdrawn from Web
			{nth(8), "Support", "new"},           // all is new
			{nth(9), "of a known key", "web"},    // the chatflow is new
			{nth(10), "open in Flowise", ""},     // and closed here
			{nth(11), "of a rotated key", "old"}, // whose old secret must not come back
			{nth(12), "key deleted", "nobody"},
			{nth(13), "off is off", "off"},
		},
		Keys: []Key{
			{"web", "Web", secret("web")},
			{"new", "Web site", secret("new")},
			{"old", "rotated", secret("rotated")},
			{"off", "off", secret("off")},
			{"idle", "unused", secret("unused")},
		},
	}
	u := Compare(source, file, false)
	if diff := cmp.Diff([]NewKey{{ID: "Web-site", Digest: keystore.DigestOf(secret("new")), Chatflows: []string{nth(4)}, name: "Web site"}}, u.Keys, cmp.AllowUnexported(NewKey{})); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]NewChatflow{
		{ID: nth(8), Name: "Support (4)", Key: "Web-site"}, {ID: nth(9), Name: "of a known key", Key: "Web"}, {ID: nth(13), Name: "off is off", Key: "off"},
	}, u.Chatflows); diff != "" {
		t.Errorf("chatflows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{nth(2): "named now", nth(4): "Support (3)", nth(6): "open"}, u.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	var report bytes.Buffer
	if err := u.Report(&report); err != nil {
		t.Fatal(err)
	}
	golden(t, "update.report.golden", report.Bytes())
	if public := Compare(source, file, true); len(public.Chatflows) != 4 || !public.Chatflows[3].Public || public.Chatflows[3].ID != nth(10) {
		t.Errorf("with public chatflows = %+v, want %s to be public", public.Chatflows, nth(10))
	}
}
