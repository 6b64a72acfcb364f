package console

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// newSecret is a secret to show once, with programs that use it.
type newSecret struct {
	Key, Secret string
	Snippets    []snippet
}

// snippet is a program to copy.
type snippet struct{ Name, Note, Text string }

// newSecret returns the secret of a change, or nil if it has none.
func (c *Console) newSecret(r *http.Request, ch change) *newSecret {
	if ch.secret == "" {
		return nil
	}
	chatflow := ""
	for _, id := range c.chatflowsOfKey(ch.key) {
		if chatflow == "" || chatflow == keystore.EveryChatflow {
			chatflow = id
		}
	}
	if chatflow == keystore.EveryChatflow {
		chatflow = "CHATFLOW"
	}
	s := &newSecret{Key: ch.key, Secret: ch.secret}
	if chatflow != "" && c.opts.Preset.Name == route.Flowise().Name {
		s.Snippets = snippets(c.clientURL(r), chatflow, ch.secret)
	}
	return s
}

// chatflowsOfKey returns the IDs of the chatflows that list a key, as they are applied.
func (c *Console) chatflowsOfKey(id string) (ids []string) {
	s := c.opts.Store.Snapshot()
	k := s.Key(id)
	for _, entry := range s.Chatflows() {
		if k != nil && entry.Lists(k) {
			ids = append(ids, entry.ID)
		}
	}
	return ids
}

// clientURL returns where clients find the gate: --public-url, or the host by which the operator reached this page.
func (c *Console) clientURL(r *http.Request) string {
	if u := c.opts.PublicURL; u != nil {
		return u.String()
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		host = h
	}
	scheme := "http"
	if c.opts.Certificates.Server() != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(strings.Trim(host, "[]"), c.port)
}

// snippets are programs that ask a chatflow of Flowise. No ID, secret or URL has a quote in it.
func snippets(url, chatflow, secret string) []snippet {
	return []snippet{
		{"curl", "", fmt.Sprintf(`curl -s '%s/api/v1/prediction/%s' \
  -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \
  -d '{"question": "Hello?"}'`, url, chatflow, secret)},
		// Node finds no named exports in flowise-sdk 1.0.9, which is CommonJS.
		{"TypeScript", "npm install flowise-sdk. Node runs this as it is. If it is bundled, or compiled to CommonJS, write import * as sdk.", fmt.Sprintf(`import sdk from 'flowise-sdk'

const client = new sdk.FlowiseClient({ baseUrl: '%s', apiKey: '%s' })
const response = await client.createPrediction({ chatflowId: '%s', question: 'Hello?', streaming: false })
console.log(response.text)`, url, secret, chatflow)},
		{"Python", "pip install requests", fmt.Sprintf(`import requests

response = requests.post(
    "%s/api/v1/prediction/%s",
    headers={"Authorization": "Bearer %s"},
    json={"question": "Hello?"},
    timeout=600,
)
response.raise_for_status()
print(response.json()["text"])`, url, chatflow, secret)},
		{"Web page", "Whoever opens the page can read the key; if strangers do, use browser tokens (docs/browser-tokens.md) in its place. The widget's routes must be exposed (--expose predict,widget), and the page allowed (--cors-origins).", fmt.Sprintf(`<script type="module">
  import Chatbot from 'https://cdn.jsdelivr.net/npm/flowise-embed/dist/web.js'
  Chatbot.init({
    chatflowid: '%s', apiHost: '%s',
    onRequest: async (request) => { request.headers = { ...request.headers, Authorization: 'Bearer %s' } },
  })
</script>`, chatflow, url, secret)},
	}
}
