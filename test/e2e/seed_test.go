//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
)

// seed is Flowise's own API key and the IDs of its chatflows.
type seed struct {
	key string // Flowise's own, not flowlatch's

	fnOpen, fnKeyed   string // respond with echo(question), without a model; Flowise's own key is assigned to fnKeyed
	llmOpen, llmKeyed string // respond with reply(question), streamed from the stand-in
	twoSteps          string // asks the stand-in, then asks it again: the only kind that 2.x and 3.x can both abort
	upload            string // takes files
}

// echo returns the response of the chatflows without a model.
func echo(question string) string { return "echo: " + question }

func (f *flowise) seed(t *testing.T, llmURL string) seed {
	t.Helper()
	key, keyID := f.apiKey(t)
	fn := echoNodes()
	llm := llmNodes(llmURL)
	keyed := map[string]any{"apikeyid": keyID}
	uploads, err := json.Marshal(map[string]any{"fullFileUpload": map[string]any{
		"status": true, "allowedUploadFileTypes": "text/plain", "pdfFile": map[string]string{"usage": "perPage"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return seed{
		key:      key,
		fnOpen:   f.chatflow(t, fnOpenName, "CHATFLOW", fn, nil),
		fnKeyed:  f.chatflow(t, "fn keyed", "CHATFLOW", fn, keyed),
		llmOpen:  f.chatflow(t, "llm open", "CHATFLOW", llm, nil),
		llmKeyed: f.chatflow(t, "llm keyed", "CHATFLOW", llm, keyed),
		twoSteps: f.chatflow(t, "two steps", "MULTIAGENT", twoStepNodes(llmURL), nil),
		upload:   f.chatflow(t, "upload", "CHATFLOW", llm, map[string]any{"chatbotConfig": string(uploads)}),
	}
}

// apiKey returns one of Flowise's own API keys: a 2.x comes with one, on a 3.x it is made first.
func (f *flowise) apiKey(t *testing.T) (secret, id string) {
	t.Helper()
	var keys []struct {
		ID     string `json:"id"`
		APIKey string `json:"apiKey"`
	}
	if !f.is2() {
		f.api(t, http.MethodPost, "/apikey", map[string]any{
			"keyName": "e2e", "permissions": []string{"chatflows:view"},
		}, nil)
	}
	f.api(t, http.MethodGet, "/apikey", nil, &keys)
	if len(keys) == 0 {
		t.Fatal("Flowise lists no API key, want one")
	}
	return keys[0].APIKey, keys[0].ID
}

// chatflow creates a chatflow and returns its ID. The extra columns are set afterwards, as Flowise's UI does.
func (f *flowise) chatflow(t *testing.T, name, kind string, nodes []node, extra map[string]any) string {
	t.Helper()
	flow, err := json.Marshal(canvas(nodes))
	if err != nil {
		t.Fatal(err)
	}
	var created struct {
		ID string `json:"id"`
	}
	f.api(t, http.MethodPost, "/chatflows", map[string]any{
		"name": name, "type": kind, "flowData": string(flow), "deployed": true,
	}, &created)
	if extra != nil {
		f.api(t, http.MethodPut, "/chatflows/"+created.ID, extra, nil)
	}
	return created.ID
}
