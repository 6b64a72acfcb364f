package flowise

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

var (
	errUnauthorized = errors.New("not authorized")
	errNoList       = errors.New("there is no list in the response")
)

// unreachable says why there was no response, and what to do.
func (c *client) unreachable(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without method and URL, which the message has
	}
	remedy := "is it running, and is this its own address and port?"
	switch {
	case isTimeout(err):
		return fmt.Errorf("%s: no response within %v%s: %w", c.base, c.http.Timeout, c.ifFlags("; --timeout sets another limit"), err)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		remedy = "--upstream-ca names the PEM file of the CA that signed its certificate"
	case errors.As(err, new(x509.HostnameError)):
		remedy = "use a host name that its certificate is valid for"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		remedy = "its certificate is not valid; renew it, or read Flowise on its own port over http"
	case errors.Is(err, http.ErrSchemeMismatch):
		remedy = "it does not speak TLS; begin the address with http://"
	}
	return fmt.Errorf("%s: cannot be reached: %w; %s", c.base, err, remedy)
}

// ifFlags returns text if errors may name the flags of an import, and nothing otherwise.
func (c *client) ifFlags(text string) string {
	if c.flags {
		return text
	}
	return ""
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// unreadable says what is wrong with a response of status 2xx.
func (c *client) unreadable(what string, err error) error {
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return fmt.Errorf("%s: %s: the response is larger than any that a Flowise should give; is this a Flowise?", c.base, what)
	case isTimeout(err):
		return fmt.Errorf("%s: %s: the response was not complete within %v%s", c.base, what, c.http.Timeout, c.ifFlags("; --timeout sets another limit"))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: %s: the response broke off; try again", c.base, what)
	case errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) || errors.Is(err, errNoList):
		return c.notFlowise(fmt.Sprintf("its response to %s is not what a Flowise gives (%v)", what, err))
	}
	return fmt.Errorf("%s: %s: reading the response: %w", c.base, what, err)
}

func (c *client) notFlowise(why string) error {
	return fmt.Errorf("%s: this is not a Flowise: %s; use the address of Flowise itself, with which its user interface is opened", c.base, why)
}

// refusal returns an error unless the body of the response should be read.
func (c *client) refusal(what string, res *http.Response, body io.Reader) error {
	kind := res.Header.Get("Content-Type")
	html := strings.HasPrefix(kind, "text/html")
	status := res.StatusCode
	login := strings.HasSuffix(what, "/auth/login")
	switch {
	case status/100 == 2 && html:
		return c.notFlowise("its response to " + what + " is a web page")
	case status/100 == 2:
		return nil
	case status/100 == 3:
		return fmt.Errorf("%s: the response to %s is a redirect to %s, and none is followed, because the credential would be sent there; use the address of Flowise itself",
			c.base, what, quoted(res.Header.Get("Location")))
	case strings.HasPrefix(kind, "application/problem+json"):
		return c.notFlowise("it refuses " + what + " as a flowlatch does")
	case login && status/100 == 4 || status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %s is %w (%d%s): %s", c.base, what, errUnauthorized, status, c.told(body, html), c.credential.remedy(c.version))
	case status == http.StatusNotFound:
		return c.notFlowise("it knows no " + what)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s: %s is forbidden (403%s): the API key or account lacks a permission; it needs chatflows:view%s. "+
			"Grant what it lacks in Flowise%s", c.base, what, c.told(body, html), c.ifFlags(" and apikeys:view"), c.ifFlags(", or use the account that administers it (--email)"))
	}
	return fmt.Errorf("%s: the response to %s is %d%s; Flowise's log may say why", c.base, what, status, c.told(body, html))
}

// remedy is what to do when Flowise does not accept the credential.
func (c Credential) remedy(version string) string {
	switch {
	case c.APIKey != "":
		return "the API key is not one of this Flowise; its page of API keys shows those there are"
	case c.User != "":
		return "user or password are wrong; they are the FLOWISE_USERNAME and FLOWISE_PASSWORD that a 2.x was started with"
	case c.Email != "":
		return "e-mail address or password are wrong; they are those of an account that can log in to its user interface"
	case strings.HasPrefix(version, "2."):
		return "it wants a credential; use --user and --password-file, or --api-key-file"
	}
	return "it wants a credential; use --api-key-file, for a 3.x --email and --password-file, for a 2.x --user and --password-file"
}

// told returns the error message in a response, after a comma, if it has the form that Flowise gives it. A message that
// repeats the credential is left out.
func (c *client) told(body io.Reader, html bool) string {
	var e struct{ Message, Error string }
	if html || json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&e) != nil {
		return ""
	}
	text := cmp.Or(e.Message, e.Error)
	for _, secret := range []string{c.credential.Password, c.credential.APIKey} {
		if secret != "" && strings.Contains(text, secret) {
			return ""
		}
	}
	if text == "" {
		return ""
	}
	return ", " + quoted(text)
}
