package flowise

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client speaks to one Flowise.
type client struct {
	base       string // without a slash at the end
	hasPath    bool   // base is more than an origin
	version    string // empty if not known
	credential Credential
	cookies    []*http.Cookie // of the session, after a login
	timeout    time.Duration
	http       *http.Client
	maxItem    int64 // bytes of one chatflow or key, drawing included
	maxAnswer  int64 // bytes of one answer
}

func newClient(o Options) (*client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case strings.Contains(o.URL, "@"):
		return nil, errors.New("user and password do not belong into a URL; use --user and --password-file")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q: want Flowise's own address, such as http://127.0.0.1:3000", o.URL)
	}
	if strings.Contains(o.Credential.User, ":") {
		return nil, fmt.Errorf("user %q: no user of a Flowise has a colon in its name", o.Credential.User)
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	return &client{
		base: strings.TrimRight(o.URL, "/"), hasPath: strings.Trim(u.Path, "/") != "", credential: o.Credential, timeout: timeout,
		maxItem: 64 << 20, maxAnswer: 1 << 30, // Flowise itself stores no chatflow of more than 50 MB
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

// get reads one answer.
func (c *client) get(ctx context.Context, path string, query map[string]string, read func(*decoder) error) error {
	if len(query) > 0 {
		values := url.Values{}
		for name, value := range query {
			values.Set(name, value)
		}
		path += "?" + values.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, func(_ *http.Response, d *decoder) error { return read(d) })
}

// login begins a session with an account of a 3.x.
func (c *client) login(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"email": c.credential.Email, "password": c.credential.Password})
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, "/auth/login", body, func(res *http.Response, d *decoder) error {
		if err := d.decode(&struct{}{}); err != nil {
			return err
		}
		// Taken as they are: the cookies of a Flowise behind a TLS proxy are for https alone, and
		// its own port is where the password went already.
		if c.cookies = res.Cookies(); len(c.cookies) == 0 {
			return errors.New("no session came with the answer")
		}
		return nil
	})
}

// do sends a request and hands its answer, if it is 2xx, to read.
func (c *client) do(ctx context.Context, method, path string, body []byte, read func(*http.Response, *decoder) error) error {
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
	limited := &limitedReader{r: res.Body, item: c.maxItem, all: c.maxAnswer}
	if err := c.refusal(what, res, limited); err != nil {
		return err
	}
	d := &decoder{json: json.NewDecoder(limited), limit: limited, maxItem: c.maxItem}
	if err := read(res, d); err != nil {
		return c.unreadable(what, err)
	}
	return nil
}

// authenticate puts in what the credential asks for. The header is what Flowise's own user interface
// sends: with it Flowise asks for a user or an account, without it for an API key.
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

// decoder reads JSON piece by piece, each of a limited length: a chatflow comes with its whole
// drawing, and none of it is kept.
type decoder struct {
	json    *json.Decoder
	limit   *limitedReader
	maxItem int64
}

func (d *decoder) decode(into any) error {
	d.limit.item = d.maxItem
	return unexpectedEnd(d.json.Decode(into))
}

func (d *decoder) token() (json.Token, error) {
	t, err := d.json.Token()
	return t, unexpectedEnd(err)
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// list is an answer that lists things: all of them, or a page and how many there are.
type list[T any] struct {
	items []T
	paged bool
	total int
}

func readList[T any](ctx context.Context, c *client, path string, query map[string]string) (l list[T], err error) {
	err = c.get(ctx, path, query, func(d *decoder) error {
		first, err := d.token()
		if err != nil {
			return err
		}
		switch first {
		case json.Delim('['):
			return readItems(d, &l.items)
		case json.Delim('{'):
			return l.readPage(d)
		}
		return errNoList
	})
	return l, err
}

// readPage reads {"data": [...], "total": n}, in any order and with anything else in it.
func (l *list[T]) readPage(d *decoder) error {
	for d.json.More() {
		name, err := d.token()
		if err != nil {
			return err
		}
		switch name {
		case "data":
			if open, err := d.token(); err != nil {
				return err
			} else if open != json.Delim('[') {
				return errNoList
			}
			l.paged = true
			err = readItems(d, &l.items)
		case "total":
			err = d.decode(&l.total)
		default:
			err = d.decode(new(json.RawMessage))
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.token(); err != nil {
		return err
	}
	if !l.paged {
		return errNoList
	}
	return nil
}

// readItems reads a list up to its closing bracket.
func readItems[T any](d *decoder, items *[]T) error {
	for d.json.More() {
		var item T
		if err := d.decode(&item); err != nil {
			return err
		}
		*items = append(*items, item)
	}
	_, err := d.token()
	return err
}

// limitedReader fails once a piece, or the whole, is longer than allowed.
type limitedReader struct {
	r         io.Reader
	item, all int64 // bytes that may yet be read
}

func (l *limitedReader) Read(p []byte) (int, error) {
	left := min(l.item, l.all, int64(len(p)))
	if left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:left])
	l.item -= int64(n)
	l.all -= int64(n)
	return n, err
}
