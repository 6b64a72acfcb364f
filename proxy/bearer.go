package proxy

import (
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// bearer is the credential of a request.
type bearer struct {
	token   string // a well-formed token, or empty
	present bool   // there is a Bearer credential, well-formed or not
}

// parseBearer reads the Bearer credential of RFC 6750 section 2.1. A credential of another scheme is
// as good as none. More than one Authorization header is a malformed request (section 3.1): which of
// them the runner would read is anybody's guess.
func parseBearer(h http.Header) (bearer, *Error) {
	values := h["Authorization"]
	switch len(values) {
	case 0:
		return bearer{}, nil
	case 1:
	default:
		return bearer{}, &Error{
			Code: CodeBadRequest, Detail: "there is more than one Authorization header",
			challenge: realm + `, error="invalid_request"`,
		}
	}
	const scheme = "bearer"
	v := values[0]
	if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return bearer{}, nil
	}
	v = v[len(scheme):]
	if v != "" && v[0] != ' ' {
		return bearer{}, nil // another scheme that begins the same
	}
	if v = strings.TrimLeft(v, " "); !keystore.IsToken(v) {
		return bearer{present: true}, nil
	}
	return bearer{token: v, present: true}, nil
}
