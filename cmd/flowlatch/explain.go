package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

type explainCmd struct {
	Method string `arg:"" help:"The request's method."`
	URL    string `arg:"" help:"The request's URL or path, exactly as a client would send it."`
	KeyID  string `name:"key-id" placeholder:"ID" help:"ID of the key that the client uses; without it, the client has no key."`
	Data   string `placeholder:"JSON" help:"The request's body, for routes that name the chatflow there. @FILE reads it from a file."`
	config.Flags
}

func (explainCmd) Help() string {
	return `Nothing is sent anywhere. Give it the settings of serve, by flags, environment or settings file: without --upstream it
does not know where the request would go. Exit code 0 if the request would pass, 1 if not.

Examples:

  flowlatch explain POST /api/v1/prediction/3f1c2a9e-1111-4222-8333-444455556666 --key-id acme-web --keys ./keys.yaml
  flowlatch explain GET http://localhost:8080/api/v1/chatflows --keys ./keys.yaml`
}

func (cmd *explainCmd) Run(c *config.Config, s streams) (err error) {
	if c.Proxy.Store, err = readKeys(c, s); err != nil {
		return err
	}
	var key *keystore.Key
	if cmd.KeyID != "" {
		if key, err = c.Proxy.Store.Snapshot().KeyNamed(cmd.KeyID); err != nil {
			return usageError{fmt.Errorf("--key-id: %s: %w", c.Keys, err)}
		}
	}
	body := []byte(cmd.Data)
	if path, ok := strings.CutPrefix(cmd.Data, "@"); ok {
		if body, err = readInput(path, proxy.DefaultMaxBody, s); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	if !c.Given("upstream") {
		c.Proxy.Upstream = &url.URL{Scheme: "http", Host: "UPSTREAM"} // where serve forwards to is not known here
	}
	gate, err := proxy.New(c.Proxy)
	if err != nil {
		return err
	}
	e := gate.Explain(cmd.Method, requestTarget(cmd.URL), body, key)
	t := newTable(s.out)
	for _, line := range e.Lines {
		row(t, line[:]...)
	}
	if err := t.Flush(); err != nil || e.Allowed {
		return err
	}
	return errRefused
}

// requestTarget returns the request target that a client sends for a URL: what follows scheme and host, unchanged,
// because the decision depends on how it is written.
func requestTarget(url string) string {
	scheme, rest, found := strings.Cut(url, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return url
	}
	i := strings.IndexAny(rest, "/?")
	switch {
	case i < 0:
		return "/"
	case rest[i] == '?':
		return "/" + rest[i:]
	}
	return rest[i:]
}
