package flowise

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client speaks to one Flowise.
type client struct {
	base        string // without a slash at the end
	version     string // empty if not known
	credential  Credential
	cookies     []*http.Cookie // of the session, after a login
	timeout     time.Duration
	http        *http.Client
	maxResponse int64 // bytes of one response
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
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	return &client{
		base: strings.TrimRight(o.URL, "/"), credential: o.Credential, timeout: o.Timeout,
		maxResponse: 1 << 30, // a chatflow comes with its whole drawing, and a 2.x lists all at once
		http: &http.Client{
			Transport: &http.Transport{ // and no proxy from the environment
				TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
				MaxResponseHeaderBytes: 256 << 10,
				ForceAttemptHTTP2:      true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// login begins a session with an account of a 3.x.
func (c *client) login(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"email": c.credential.Email, "password": c.credential.Password})
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, "/auth/login", body, func(res *http.Response, _ *json.Decoder) error {
		// Taken as they are: the cookies of a Flowise behind a TLS proxy are for https only, but the
		// password was just sent to its own port.
		if c.cookies = res.Cookies(); len(c.cookies) == 0 {
			return errors.New("no session came with it")
		}
		return nil
	})
}

// do sends a request and has read read the response, if its status is 2xx.
func (c *client) do(ctx context.Context, method, path string, body []byte, read func(*http.Response, *json.Decoder) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	c.authenticate(req, path)
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer res.Body.Close()
	what, _, _ := strings.Cut(method+" /api/v1"+path, "?")
	limited := http.MaxBytesReader(nil, res.Body, c.maxResponse)
	if err := c.refusal(what, res, limited); err != nil {
		return err
	}
	if err := read(res, json.NewDecoder(limited)); err != nil {
		return c.unreadable(what, err)
	}
	return nil
}

// authenticate adds the credential. With the header X-Request-From, which its own user interface sends, Flowise asks
// for a user or an account, and without it for an API key.
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

// list is a response that lists things: all of them, or a page and how many there are.
type list[T any] struct {
	items []T
	paged bool
	total int
}

func readList[T any](ctx context.Context, c *client, path string) (l list[T], err error) {
	err = c.do(ctx, http.MethodGet, path, nil, func(_ *http.Response, d *json.Decoder) error { return l.read(d) })
	return l, err
}

// read reads [...] or {"data": [...], "total": n}, in any order and with anything else in it.
func (l *list[T]) read(d *json.Decoder) error {
	switch first, err := d.Token(); {
	case err != nil:
		return err
	case first == json.Delim('['):
		return l.readItems(d)
	case first != json.Delim('{'):
		return errNoList
	}
	for d.More() {
		name, err := d.Token()
		switch {
		case err != nil:
		case name == "data":
			var first json.Token
			if first, err = d.Token(); err == nil && first != json.Delim('[') {
				return errNoList
			}
			l.paged = true
			if err == nil {
				err = l.readItems(d)
			}
		case name == "total":
			err = d.Decode(&l.total)
		default:
			err = d.Decode(new(json.RawMessage))
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if !l.paged {
		return errNoList
	}
	return nil
}

// readItems reads a list up to its closing bracket.
func (l *list[T]) readItems(d *json.Decoder) error {
	for d.More() {
		var item T
		if err := d.Decode(&item); err != nil {
			return err
		}
		l.items = append(l.items, item)
	}
	_, err := d.Token()
	return err
}
