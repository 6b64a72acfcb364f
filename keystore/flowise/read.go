// Package flowise imports the keys of a running Flowise.
//
// It reads chatflows and API keys over Flowise's REST API ([Read]) and turns them into the text of a key file, with a
// report on what changes for clients ([Convert]). It changes nothing in Flowise: except for the login of an account,
// every request is a GET. What a key file means is left to package keystore; flags, files and exit codes are left to the
// command.
package flowise

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Options say which Flowise to read, and as whom.
type Options struct {
	// URL is Flowise's own address, such as http://127.0.0.1:3000. It may have a path.
	URL string
	// Credential is what is sent to Flowise.
	Credential Credential
	// RootCAs are the CAs for https. Nil means the system's.
	RootCAs *x509.CertPool
	// Timeout is how long one response may take. Zero means no limit.
	Timeout time.Duration
	// MaxResponse is the size of the largest response that is read, in bytes. Zero means 1 GiB: a chatflow comes with all
	// of its nodes, and a 2.x lists all chatflows at once.
	MaxResponse int64
	// Flags says that errors may name the flags of an import, and the permissions that it needs.
	Flags bool
}

// Credential is one of the ways to authenticate to Flowise. The zero value is no credential, which a 2.x accepts if it
// has no user name set.
type Credential struct {
	User     string // of a 2.x (its FLOWISE_USERNAME), with Password
	Email    string // of an account of a 3.x, with Password
	Password string
	APIKey   string // of any version
}

// Installation is what was found in a Flowise.
type Installation struct {
	URL       string
	Version   string // empty if not known
	Chatflows []Chatflow
	Keys      []Key
}

// Chatflow is a chatflow, agentflow, assistant or multiagent; all are called in the same way.
type Chatflow struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	KeyID string `json:"apikeyid"` // of the key that Flowise wants from its clients; empty if none
}

// Key is an API key of Flowise with its secret, which Flowise's REST API returns.
type Key struct {
	ID     string `json:"id"`
	Name   string `json:"keyName"`
	Secret string `json:"apiKey"`
}

// Read asks a Flowise for its chatflows and keys. In a 3.x with several workspaces it sees only one: that of the API key,
// or the one that the account used last. Redirects are not followed, because the credential would be sent there. Errors
// say what to do, and hold no secret.
func Read(ctx context.Context, o Options) (*Installation, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return c.read(ctx)
}

// Chatflows is [Read] for the chatflows alone.
func Chatflows(ctx context.Context, o Options) ([]Chatflow, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	return c.readChatflows(ctx)
}

// begin asks for the version, checks that the credential suits it, and logs in if the credential is an account.
func (c *client) begin(ctx context.Context) (err error) {
	if c.version, err = c.readVersion(ctx); err != nil {
		return err
	}
	if err := c.credential.suits(c.version); err != nil {
		return fmt.Errorf("%s: %w", c.base, err)
	}
	if c.credential.Email != "" {
		return c.login(ctx)
	}
	return nil
}

func (c *client) read(ctx context.Context) (*Installation, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	chatflows, err := c.readChatflows(ctx)
	if err != nil {
		return nil, err
	}
	// Not page by page: the total that a 3.x gives with a page of keys counts only that page.
	var keys list[Key]
	if _, err := c.do(ctx, http.MethodGet, "/apikey", nil, &keys); err != nil {
		return nil, err
	}
	return &Installation{URL: c.base, Version: c.version, Chatflows: chatflows, Keys: keys.items}, nil
}

var versionPattern = regexp.MustCompile(`^[0-9A-Za-z.+-]{1,32}$`)

// readVersion asks for the version, without the credential. The response also shows that this is a Flowise.
func (c *client) readVersion(ctx context.Context) (string, error) {
	var v struct {
		Version string `json:"version"`
	}
	_, err := c.do(ctx, http.MethodGet, "/version", nil, &v)
	switch {
	case errors.Is(err, errUnauthorized) && strings.Count(c.base, "/") > len("//"): // Flowise guards /canvas/api/v1/, which does not exist
		return "", c.notFlowise("it wants a credential for its version, as a Flowise does for addresses with a wrong path")
	case errors.Is(err, errUnauthorized): // closed by DENYLIST_URLS
		return "", nil
	case err != nil:
		return "", err
	case !versionPattern.MatchString(v.Version):
		return "", c.notFlowise("its response to GET /api/v1/version has no version")
	}
	return v.Version, nil
}

// suits returns an error if a Flowise of this version does not accept such a credential.
func (c Credential) suits(version string) error {
	major, _, known := strings.Cut(version, ".")
	switch {
	case !known || c.APIKey != "":
	case (major == "1" || major == "2") && c.Email != "":
		return fmt.Errorf("a Flowise %s has no accounts with an e-mail address; use --user and --password-file, or --api-key-file", version)
	case major == "3" && version != "3.0.0" && c.Email == "": // 3.0.0 still had a user
		return fmt.Errorf("a Flowise %s wants an account or an API key; use --email and --password-file, or --api-key-file", version)
	}
	return nil
}

const (
	pageSize     = 100
	maxChatflows = 1_000_000
)

// readChatflows reads all chatflows. A 2.x always lists all of them, a 3.x lists them page by page. A chatflow that is
// edited meanwhile moves to the first page, so another one may be missed. Then fewer than the total are found, and all
// are read again, up to three times in all.
func (c *client) readChatflows(ctx context.Context) ([]Chatflow, error) {
	for range 3 {
		var all []Chatflow
		seen := map[string]bool{}
		for page := 1; ; page++ {
			var listed list[Chatflow]
			if _, err := c.do(ctx, http.MethodGet, fmt.Sprintf("/chatflows?page=%d&limit=%d", page, pageSize), nil, &listed); err != nil {
				return nil, err
			}
			before := len(all)
			for _, f := range listed.items {
				if !seen[f.ID] {
					seen[f.ID] = true
					all = append(all, f)
				}
			}
			if len(all) > maxChatflows {
				return nil, fmt.Errorf("%s: more than %d chatflows, which is more than one key file should hold", c.base, maxChatflows)
			}
			if !listed.paged || len(all) == listed.total {
				return all, nil
			}
			if len(all) == before { // the end, or pages that repeat
				break
			}
		}
	}
	return nil, fmt.Errorf("%s: its chatflows changed while they were read, three times; try again while nobody edits them", c.base)
}
