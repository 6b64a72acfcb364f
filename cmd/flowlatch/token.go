package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/token"
)

type tokenCmd struct {
	keyFile
	config.PresetFlag
	config.BrowserSecretsFlag
	KeyID    string           `name:"key-id" required:"" placeholder:"ID" help:"The key that the token comes from, which has browser: in the key file."`
	Chatflow []string         `sep:"none" required:"" placeholder:"ID" help:"The chatflow that it is for; repeat it for several."`
	Origin   []string         `required:"" placeholder:"ORIGIN" help:"Origin of the page that may use it, such as https://www.example.com; repeat it for several."`
	User     string           `placeholder:"TEXT" help:"Whom it is for, for the key's per_user limits."`
	TTL      *config.Duration `name:"ttl" placeholder:"TIME" help:"How long it is valid, such as 10m. Default: as long as the key allows."`
	Messages *int64           `placeholder:"N" help:"How many messages may be sent with it. Default: any number."`
	JSON     bool             `name:"json" help:"Print JSON, as POST /-/token responds."`
}

func (tokenCmd) Help() string {
	return `Mints a browser token with the secrets of a gate, to try one or to mint without asking the gate. A page's server asks the gate
by POST /-/token with its API key, and needs no secrets. The token alone is printed to standard output.

Examples:

  flowlatch token --browser-secrets ./browser.secrets --key-id acme-web --chatflow support-bot --origin https://www.example.com
  flowlatch token --browser-secrets ./browser.secrets --key-id acme-web --chatflow support-bot --origin https://www.example.com --user 42 --ttl 10m --json`
}

// Run mints a token and prints it.
func (cmd *tokenCmd) Run(c *config.Config, s streams) error {
	if c.BrowserSecrets == "" {
		return usageError{errors.New("--browser-secrets: name the file of the gate; a gate without one has a random secret, and mints by POST /-/token alone")}
	}
	store, err := keystore.Open(c.Keys, keystore.Options{})
	if err != nil {
		return err
	}
	snapshot := store.Snapshot()
	key, err := snapshot.KeyNamed(cmd.KeyID)
	if err != nil {
		return usageError{fmt.Errorf("--key-id: %s: %w", c.Keys, err)}
	}
	now := time.Now()
	if v := key.Validity(now); v != keystore.Valid {
		return fmt.Errorf("key %q is not valid (%s), and so no token of it would be", cmd.KeyID, v)
	}
	request := token.Request{Origins: cmd.Origin, User: cmd.User}
	if cmd.TTL != nil {
		request.TTL = cmp.Or(time.Duration(*cmd.TTL), -1) // zero is an error, and must not mean the default
	}
	if cmd.Messages != nil {
		request.Messages = cmp.Or(*cmd.Messages, -1) // likewise
	}
	for i, name := range cmd.Chatflow {
		meant, err := meantChatflow(name, snapshot.Chatflows())
		if err != nil {
			return err
		}
		if meant != nil && meant.IsNamed(name) {
			cmd.Chatflow[i] = meant.ID
		}
	}
	if request.Chatflows, err = chatflowIDs(cmd.Chatflow, c, nil, s.err); err != nil {
		return err
	}
	t, err := request.Of(key, snapshot, now)
	if err != nil {
		return fmt.Errorf("key %q: %w", cmd.KeyID, err)
	}
	secrets, err := token.Open(c.BrowserSecrets, token.Options{})
	if err != nil {
		return err
	}
	text, err := secrets.Mint(t)
	if err != nil {
		return err
	}
	if cmd.JSON {
		return json.NewEncoder(s.out).Encode(map[string]any{"token": text, "expires_at": t.Expires.Unix()})
	}
	fmt.Fprintln(s.out, text)
	return nil
}
