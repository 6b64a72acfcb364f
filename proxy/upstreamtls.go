package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// handshakeTimeout is how long the runner may take to agree about TLS.
const handshakeTimeout = 5 * time.Second

// dialTLS opens connections to an https runner with the certificates that are in force when it does.
func dialTLS(certificates *certificate.Store, dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		config := certificates.Upstream().Clone()
		if config.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			conn.Close()
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, handshakeError{err}
		}
		return secure, nil
	}
}

// handshakeError says that the runner was reached, but that there is no TLS with it.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// isTLS reports whether an error is one of TLS. What the runner says of the gate's certificate comes only
// with the first answer (RFC 8446, section 4.4.2.4), as the remote error that crypto/tls makes of it.
func isTLS(err error) bool {
	var remote *net.OpError
	return errors.As(err, &handshakeError{}) || errors.As(err, &remote) && remote.Op == "remote error"
}
