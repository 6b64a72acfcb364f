package limit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// RedisURL is how to reach a Redis.
type RedisURL struct {
	network, address   string // as net.Dial has them
	username, password string
	database           int
	tls                *tls.Config // nil without TLS
}

// The faults of a Redis URL. The messages do not repeat the URL, because it may contain a password.
var (
	errURL      = errors.New("not the URL of a Redis, such as redis://:password@host:6379/0, rediss://host:6379 or unix:///path/to/socket")
	errURLPort  = errors.New("the port in the URL of the Redis is not between 1 and 65535")
	errURLUser  = errors.New("the URL of the Redis has a user without a password, who could not log in; want redis://user:password@host:6379/0")
	errURLTwice = errors.New("the URL of the Redis names its database twice, as a path and as db; want one of them")
	errURLQuery = errors.New("the URL of the Redis has something after ? that is not known; only db is, as in unix:///path/to/socket?db=2")
)

// ParseRedisURL parses the URL of a Redis: redis://, rediss:// for TLS, or unix://, with optional user, password and
// database. The database is the path, or db in the query, as in unix:///path/to/socket?db=2.
func ParseRedisURL(text string) (*RedisURL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Fragment != "" {
		return nil, errURL
	}
	host := cmp.Or(u.Hostname(), "localhost")
	r := &RedisURL{network: "tcp", address: net.JoinHostPort(host, cmp.Or(u.Port(), "6379"))}
	database := strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "redis":
	case "rediss":
		r.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	case "unix":
		r.network, r.address, database = "unix", u.Path, ""
	default:
		return nil, errURL
	}
	if r.address == "" || r.network == "unix" && u.Host != "" || !strings.HasPrefix(text, u.Scheme+"://") { // redis:6379 has no host, and would be localhost
		return nil, errURL
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errURLPort
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	db := query["db"]
	delete(query, "db")
	switch {
	case err != nil || len(query) > 0 || slices.Contains(db, ""):
		return nil, errURLQuery
	case len(db) > 1 || len(db) > 0 && database != "":
		return nil, errURLTwice
	case len(db) > 0:
		database = db[0]
	}
	if r.database, err = strconv.Atoi(cmp.Or(database, "0")); err != nil || r.database < 0 {
		return nil, errURL
	}
	r.username = u.User.Username()
	if r.password, _ = u.User.Password(); r.username != "" && r.password == "" {
		return nil, errURLUser
	}
	return r, nil
}

// HasPassword reports whether the URL contains a password. A nil URL does not.
func (u *RedisURL) HasPassword() bool { return u != nil && u.password != "" }

// dialTimeout is how long connecting and logging in may take.
const dialTimeout = time.Second

// dial connects to the server at an address, and logs in.
func (u *RedisURL) dial(ctx context.Context, address string, timeout time.Duration) (redis.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return redis.DialContext(ctx, u.network, address,
		redis.DialUsername(u.username), redis.DialPassword(u.password), redis.DialDatabase(u.database), redis.DialClientName("flowlatch"),
		redis.DialUseTLS(u.tls != nil), redis.DialTLSConfig(u.tls), redis.DialTLSHandshakeTimeout(dialTimeout),
		redis.DialReadTimeout(timeout), redis.DialWriteTimeout(timeout))
}
