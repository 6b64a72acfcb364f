package doctor

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

const (
	// probeTimeout is how long a probe may take.
	probeTimeout = 5 * time.Second
	// secondReplyTimeout is how long after a reply another one is waited for.
	secondReplyTimeout = 500 * time.Millisecond
)

// send sends a probe to the host of base and returns all replies, at least one. A hidden request that is understood has
// a reply of its own. An error means that the host cannot be reached, or that TLS with it fails.
func send(base *url.URL, certificates []tls.Certificate, p probe) (replies []reply, err error) {
	conn, err := dial(base, certificates)
	if err != nil {
		return nil, certificateError(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(probeTimeout))
	header := p.header + "Host: " + base.Host + "\r\n"
	if !strings.Contains(strings.ToLower(header), "\nconnection:") && !strings.Contains(p.body, hiddenMark) {
		header += "Connection: close\r\n"
	}
	_, _ = io.WriteString(conn, header+"\r\n"+p.body) // a gate that has refused may have closed the connection
	from, none := bufio.NewReader(conn), reply{text: "no response, the connection was closed"}
	for len(replies) < 3 {
		res, err := http.ReadResponse(from, nil)
		if isTLSAlert(err) && len(replies) == 0 {
			return nil, certificateError(err)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			none = reply{text: "no response within " + probeTimeout.String(), timedOut: true}
		}
		if err != nil {
			break
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			replies = append(replies, readReply(res))
			_ = conn.SetReadDeadline(time.Now().Add(secondReplyTimeout))
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	if len(replies) == 0 {
		replies = []reply{none}
	}
	return replies, nil
}

// get asks for a path below a URL. reached says whether something listens there. If it did not respond, the status is
// 0.
func get(base *url.URL, certificates []tls.Certificate, path string) (r reply, reached bool) {
	replies, err := send(base, certificates, probe{header: "GET " + base.Path + path + " HTTP/1.1\r\n"})
	switch {
	case err == nil:
		return replies[0], true
	case isUnreachable(err):
		return reply{}, false
	}
	return reply{text: err.Error(), notTLS: isNotTLS(err)}, true
}

// isNotTLS reports whether an error means that a server does not speak TLS.
func isNotTLS(err error) bool { return errors.As(err, new(tls.RecordHeaderError)) }

// isUnreachable reports whether an error means that no connection could be opened.
func isUnreachable(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// speaksTLS reports whether a server whose URL begins with http:// speaks TLS.
func speaksTLS(base *url.URL) bool {
	secure := *base
	secure.Scheme, secure.Host = "https", net.JoinHostPort(base.Hostname(), origin.PortOf(base))
	conn, err := dial(&secure, nil)
	if err != nil {
		return isTLSAlert(err)
	}
	conn.Close()
	return base.Scheme == "http"
}

// dial opens a connection to the host of a URL. The certificate of an HTTPS one is not checked: the question is what the
// gate does, not who it is.
func dial(base *url.URL, certificates []tls.Certificate) (net.Conn, error) {
	dialer, host := &net.Dialer{Timeout: probeTimeout}, net.JoinHostPort(base.Hostname(), origin.PortOf(base))
	if base.Scheme != "https" {
		return dialer.Dial("tcp", host)
	}
	return tls.DialWithDialer(dialer, "tcp", host, &tls.Config{
		ServerName: base.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12, Certificates: certificates,
		InsecureSkipVerify: true, //nolint:gosec // nothing secret is sent
	})
}

// isTLSAlert reports whether the other side sent a TLS alert. It may say only after the handshake that a client
// certificate is missing.
func isTLSAlert(err error) bool {
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error"
}

// certificateError adds what to do if a gate does not accept the client certificate.
func certificateError(err error) error {
	if isTLSAlert(err) {
		return fmt.Errorf("%w: it accepts only clients with a certificate from its CA (--client-ca); name yours with --client-cert and --client-key", err)
	}
	return err
}
