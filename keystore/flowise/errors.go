package flowise

import (
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
	errTooLarge     = errors.New("the answer is larger than any that a Flowise should give")
	errNoList       = errors.New("there is no list in the answer")
)

// unreachable says why there was no answer, and what to do.
func (c *client) unreachable(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // without method and URL, which the message has
	}
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   *tls.CertificateVerificationError
		timeout   net.Error
	)
	remedy := "is it running, and is this its own address and port?"
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s: no answer within %v; --timeout gives it longer: %w", c.base, c.timeout, err)
	case errors.As(err, &authority):
		remedy = "--upstream-ca names the PEM file of the authority that signed its certificate"
	case errors.As(err, &host):
		remedy = "give the address under a name that its certificate is for"
	case errors.As(err, &invalid):
		remedy = "its certificate is not valid; renew it, or read Flowise on its own port over http"
	case errors.Is(err, http.ErrSchemeMismatch):
		remedy = "it does not speak TLS; begin the address with http://"
	}
	return fmt.Errorf("%s: cannot be reached: %w; %s", c.base, err, remedy)
}

// unreadable says what is wrong with an answer of status 200.
func (c *client) unreadable(what string, err error) error {
	var (
		syntax  *json.SyntaxError
		kind    *json.UnmarshalTypeError
		timeout net.Error
	)
	switch {
	case errors.Is(err, errTooLarge):
		return fmt.Errorf("%s: %s: %w; is this a Flowise?", c.base, what, err)
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s: %s: the answer was not complete within %v; --timeout gives it longer", c.base, what, c.timeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: %s: the answer broke off; try again", c.base, what)
	case errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, errNoList):
		return c.notFlowise(fmt.Sprintf("its answer on %s is not what a Flowise gives (%v)", what, err))
	}
	return fmt.Errorf("%s: %s: reading the answer: %w", c.base, what, err)
}

func (c *client) notFlowise(why string) error {
	return fmt.Errorf("%s: this is not a Flowise: %s; give the address of Flowise itself, the one that its user interface is opened with", c.base, why)
}

// refusal returns an error unless the answer is one to read.
func (c *client) refusal(what string, res *http.Response, body io.Reader) error {
	kind := res.Header.Get("Content-Type")
	html := strings.HasPrefix(kind, "text/html")
	status := res.StatusCode
	login := strings.HasSuffix(what, "/auth/login")
	switch {
	case status/100 == 2 && html:
		return c.notFlowise("it answers " + what + " with a web page")
	case status/100 == 2:
		return nil
	case status/100 == 3:
		return fmt.Errorf("%s: %s is answered with a redirect to %s, and none is followed, because the credential would go along; give the address of Flowise itself",
			c.base, what, quoted(res.Header.Get("Location")))
	case strings.HasPrefix(kind, "application/problem+json"):
		return c.notFlowise("it refuses " + what + " as a flowlatch does")
	case login && status/100 == 4 || status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %s is %w (%d%s): %s", c.base, what, errUnauthorized, status, c.told(body, html), c.credential.remedy(c.version))
	case status == http.StatusNotFound:
		return c.notFlowise("it knows no " + what)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s: %s is forbidden (403%s): the API key or account lacks a permission; it needs chatflows:view and apikeys:view. "+
			"Give them to it in Flowise, or use the account that administers it (--email)", c.base, what, c.told(body, html))
	}
	return fmt.Errorf("%s: %s is answered with %d%s; Flowise's log may say why", c.base, what, status, c.told(body, html))
}

// remedy is what to do when Flowise does not take the credential.
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

// told is what the answer says of an error, if it says it as Flowise does.
func (c *client) told(body io.Reader, html bool) string {
	var e struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	if html || json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&e) != nil {
		return ""
	}
	text := e.Message
	if text == "" {
		text = e.Error
	}
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
