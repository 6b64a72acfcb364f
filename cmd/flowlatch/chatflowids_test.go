package main

import (
	"io"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// FuzzChatflowIDs checks that any value of --chatflow is refused, or understood as IDs that a key file may have, and
// that only an asterisk opens every chatflow.
func FuzzChatflowIDs(f *testing.F) {
	for _, seed := range []string{
		webChatflow, strings.ToUpper(webChatflow), "https://flowise.example.com/canvas/" + webChatflow, webChatflow + "," + batchChatflow,
		"support-bot", "all of them", "*", "*,x", "", ",", "/", "/../" + webChatflow, " " + webChatflow + "\n", "x\n    public: true",
	} {
		f.Add(seed)
	}
	flowise := route.Flowise()
	c := &config.Config{Keys: "keys.yaml"}
	c.Proxy.Preset, c.Proxy.Routes = flowise, flowise.Routes
	keys := []byte("version: 1\nchatflows:\n  - {id: " + webChatflow + ", name: support-bot, public: true}\n  - {id: \"*\", name: all of them, keys: [a]}\nkeys:\n  - {id: a, sha256: " + keystore.DigestOf("a").String() + "}\n")
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := chatflowIDs([]string{text}, c, keys, io.Discard)
		if err != nil {
			return
		}
		if want := strings.Count(text, ",") + 1; len(ids) != want {
			t.Errorf("chatflowIDs(%q) = %q, want %d", text, ids, want)
		}
		for _, id := range ids {
			if keystore.ValidateID(id) != nil && id != keystore.EveryChatflow || id == keystore.EveryChatflow && !strings.Contains(text, "*") {
				t.Errorf("chatflowIDs(%q) = %q, want IDs that a key file may have", text, ids)
			}
		}
	})
}
