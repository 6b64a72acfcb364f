package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/flowlatch/flowlatch/proxy/admin"
)

// adminTimeout is how long an admin listener may take to respond.
const adminTimeout = 3 * time.Second

// errNotAdmin says that something else answers where an admin listener should.
var errNotAdmin = errors.New("what answers there is not an admin listener of flowlatch")

// ErrNoGate says that nothing listens where an admin listener should. All other errors leave open whether a gate runs.
var ErrNoGate = errors.New("nothing listens")

// Status asks the admin listener at an address for the gate's status, with so many keys at most, those that were used last
// first, and as many chatflows: a gate may have so many that it could not send all of them in time.
func Status(addr string, limit int) (status admin.Status, err error) {
	body, err := Ask(addr, fmt.Sprintf("/status?keys_by=last_used&limit=%d", limit))
	if err == nil && (json.Unmarshal(body, &status) != nil || status.Generation == 0) {
		err = fmt.Errorf("%s: %w", addr, errNotAdmin)
	}
	return status, err
}

// Key asks the admin listener at an address for the state of one key.
func Key(addr, id string) (one admin.OneKey, err error) {
	body, err := Ask(addr, "/status?key="+url.QueryEscape(id))
	if err == nil && (json.Unmarshal(body, &one) != nil || one.Generation == 0) {
		err = fmt.Errorf("%s: %w", addr, errNotAdmin)
	}
	return one, err
}

// Limits on the response of an admin listener. Something else may listen there, and respond with anything.
const (
	maxAdminBody  = 16 << 20 // bytes
	maxAdminError = 300      // bytes of an error, which is a line of text
)

// Ask gets a path from the admin listener at an address. A status other than 200 is an error with the text of the
// response.
func Ask(addr, path string) ([]byte, error) {
	host, port, _ := net.SplitHostPort(addr)
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1" // a listener on every address is reached there
	}
	at := net.JoinHostPort(host, port)
	client := &http.Client{Timeout: adminTimeout, Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy from the environment
	res, err := client.Get("http://" + at + path)
	if err != nil {
		return nil, noResponse(at, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAdminBody))
	if err != nil {
		return nil, noResponse(at, err)
	}
	if res.StatusCode != http.StatusOK {
		err = adminError(res.StatusCode, strings.TrimSpace(string(body)))
	}
	return body, err
}

// adminError returns the error that an admin listener has responded with.
func adminError(status int, text string) error {
	if len(text) > maxAdminError || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("what answers there responds %d: it is not an admin listener of flowlatch", status)
	}
	return errors.New(text)
}

// noResponse says why there is no response from an address.
func noResponse(at string, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w at %s", ErrNoGate, at)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return fmt.Errorf("no response from %s within %s", at, adminTimeout)
	}
	if asked, ok := errors.AsType[*url.Error](err); ok {
		err = asked.Err // without the URL
	}
	return fmt.Errorf("asking %s: %w", at, err)
}
