package flowise

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// client speaks to one Flowise.
type client struct {
	base        string // without a slash at the end
	version     string // empty if not known
	credential  Credential
	cookies     []*http.Cookie // of the session, after a login
	http        *http.Client
	maxResponse int64 // bytes of one response
	flags       bool
}

func newClient(o Options) (*client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case strings.Contains(o.URL, "@"):
		return nil, errors.New("user and password do not belong into a URL; use --user and --password-file")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q: want Flowise's own address, such as http://127.0.0.1:3000", o.URL)
	case strings.Contains(o.Credential.User, ":"):
		return nil, fmt.Errorf("user %q: no user of a Flowise has a colon in its name", o.Credential.User)
	}
	return &client{
		base: strings.TrimRight(o.URL, "/"), credential: o.Credential,
		maxResponse: cmp.Or(o.MaxResponse, 1<<30), flags: o.Flags,
		http: &http.Client{
			Timeout: o.Timeout,
			Transport: &http.Transport{ // without a proxy from the environment
				TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
				MaxResponseHeaderBytes: 256 << 10,
				ForceAttemptHTTP2:      true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// login logs in with an account of a 3.x, and keeps the cookies of the session.
func (c *client) login(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"email": c.credential.Email, "password": c.credential.Password})
	if err != nil {
		return err
	}
	// The cookies are sent back even if they are for https only, as those of a Flowise behind a TLS proxy are: the
	// password was just sent to the same port.
	c.cookies, err = c.do(ctx, http.MethodPost, "/auth/login", body, nil)
	if err == nil && len(c.cookies) == 0 {
		err = fmt.Errorf("%s: POST /api/v1/auth/login: no session came with the response", c.base)
	}
	return err
}

// do sends a request and decodes the response into a value, unless into is nil. It returns the cookies of the response.
func (c *client) do(ctx context.Context, method, path string, body []byte, into any) ([]*http.Cookie, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	c.authenticate(req, path)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer res.Body.Close()
	what, _, _ := strings.Cut(method+" /api/v1"+path, "?")
	limited := http.MaxBytesReader(nil, res.Body, c.maxResponse)
	if err := c.refusal(what, res, limited); err != nil {
		return nil, err
	}
	if into != nil {
		if err := json.NewDecoder(limited).Decode(into); err != nil {
			return nil, c.unreadable(what, err)
		}
	}
	return res.Cookies(), nil
}

// authenticate adds the credential to a request. For a request with the header X-Request-From, which Flowise's own user
// interface sends, Flowise wants a user or an account; for any other it wants an API key.
func (c *client) authenticate(req *http.Request, path string) {
	switch {
	case path == "/version":
		return
	case c.credential.APIKey != "":
		req.Header.Set("Authorization", "Bearer "+c.credential.APIKey)
		return
	case c.credential.User != "":
		req.SetBasicAuth(c.credential.User, c.credential.Password)
	}
	req.Header.Set("X-Request-From", "internal")
	for _, cookie := range c.cookies {
		req.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value, Quoted: cookie.Quoted})
	}
}

// list is a response that lists things: all of them, or a page of them and how many there are in all.
type list[T any] struct {
	items []T
	paged bool
	total int
}

// UnmarshalJSON reads [...] or {"data": [...], "total": n}.
func (l *list[T]) UnmarshalJSON(data []byte) error {
	if data[0] != '[' {
		var page struct {
			Data  json.RawMessage
			Total int
		}
		if json.Unmarshal(data, &page) != nil || !bytes.HasPrefix(page.Data, []byte("[")) {
			return errNoList
		}
		data, l.paged, l.total = page.Data, true, page.Total
	}
	return json.Unmarshal(data, &l.items)
}
