package route

import (
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// Bearer is the credential of a request (RFC 6750, section 2.1).
type Bearer struct {
	// Token is a well-formed token, or empty.
	Token string
	// Present says that there is a Bearer credential, well-formed or not.
	Present bool
}

// ParseBearer reads the Bearer credential. A credential of another scheme counts as none. More than one Authorization
// header makes the request malformed (RFC 6750, section 3.1): the upstream might read another one than this gate.
func ParseBearer(h http.Header) (Bearer, *problem.Error) {
	values := h["Authorization"]
	switch len(values) {
	case 0:
		return Bearer{}, nil
	case 1:
	default:
		return Bearer{}, &problem.Error{
			Code: problem.BadRequest, Detail: "there is more than one Authorization header",
			Challenge: problem.Realm + `, error="invalid_request"`,
		}
	}
	const scheme = "bearer"
	v := values[0]
	if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return Bearer{}, nil
	}
	v = v[len(scheme):]
	if v != "" && v[0] != ' ' {
		return Bearer{}, nil // a longer scheme name that begins with bearer
	}
	if v = strings.TrimLeft(v, " "); !keystore.IsToken(v) {
		return Bearer{Present: true}, nil
	}
	return Bearer{Token: v, Present: true}, nil
}
