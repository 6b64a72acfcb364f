package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/proxy/admin"
)

// adminTimeout is how long an admin listener may take to respond.
const adminTimeout = 3 * time.Second

// errNotAdmin says that something else answers where an admin listener should.
var errNotAdmin = errors.New("what answers is not an admin listener of flowlatch")

// Status asks the admin listener at an address for the gate's status.
func Status(addr string) (status admin.Status, err error) {
	body, err := Ask(addr, "/status")
	if err == nil && (json.Unmarshal(body, &status) != nil || status.Generation == 0) {
		err = fmt.Errorf("%s: %w", addr, errNotAdmin)
	}
	return status, err
}

// Ask gets a path from the admin listener at an address. A status other than 200 is an error with the text of the
// response.
func Ask(addr, path string) ([]byte, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1" // where a listener on every address is reached
	}
	client := &http.Client{Timeout: adminTimeout, Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy from the environment
	res, err := client.Get("http://" + net.JoinHostPort(host, port) + path)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	return body, err
}
