package limit_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestParseRedisURL parses URLs, and checks that no error repeats one.
func TestParseRedisURL(t *testing.T) {
	for _, url := range []string{
		"redis://localhost:6379", "redis://redis", "redis://[::1]:6379", "redis://user:secret@localhost:6379/2", "redis://:secret@localhost/?db=2", "redis://:secret@localhost:65535",
		"rediss://localhost:6379", "unix:///run/redis.sock", "unix://:secret@/run/redis.sock?db=2",
	} {
		if _, err := limit.ParseRedisURL(url); err != nil {
			t.Errorf("ParseRedisURL(%q) = %v, want no error", url, err)
		}
	}
	for _, tt := range []struct {
		want string // in the error
		urls []string
	}{
		{"not the URL of a Redis", []string{
			"", "localhost:6379", "redis:6379", "redis:", "redis:/localhost", "http://localhost", "redis://:secret@local host", "redis://:secret@localhost:port",
			"redis://:secret@localhost/x", "redis://:secret@localhost/-1", "redis://:secret@localhost/1/2", "unix://", "unix://run/redis.sock",
			"unix://:secret@/run/redis.sock?db=x", "redis://:secret@localhost#x",
		}},
		{"the port in the URL", []string{"redis://:secret@localhost:0", "redis://:secret@localhost:65536", "rediss://:secret@localhost:99999/1"}},
		{"its database twice", []string{"redis://:secret@localhost/1?db=2", "redis://:secret@localhost/1?db=1", "unix://:secret@/run/redis.sock?db=1&db=2"}},
		{"after ? that is not known", []string{"redis://:secret@localhost?master_set=secret", "redis://:secret@localhost/1?db=2&master_set=secret", "redis://:secret@localhost?db=", "redis://:secret@localhost/1?db="}},
		{"a user without a password", []string{"redis://secret@localhost"}},
	} {
		for _, url := range tt.urls {
			_, err := limit.ParseRedisURL(url)
			if err == nil || errors.Unwrap(err) != nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseRedisURL(%q) = %v, want an error with %q that does not repeat it", url, err, tt.want)
			}
		}
	}
}

// TestRedisURL connects to servers by all forms of URL.
func TestRedisURL(t *testing.T) {
	certificate, key := certificate(t) // for the name 127.0.0.1
	free := freePorts(t, 2)
	port, secure := strconv.Itoa(free[0]), strconv.Itoa(free[1])
	r := testkit.StartRedis(t,
		"--bind", "127.0.0.1", "--port", port, "--tls-port", secure, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no",
		"--requirepass", "secret", "--user", "acme", "on", ">other", "~fl:*", "+@all")
	t.Setenv("SSL_CERT_FILE", certificate)
	for _, tt := range []struct {
		url      string
		database int
		want     string // a part of the error, or empty if Redis answers
	}{
		{"unix://:secret@" + r.Socket, 0, ""},
		{"unix://acme:other@" + r.Socket + "?db=2", 2, ""},
		{"redis://:secret@127.0.0.1:" + port, 0, ""},
		{"redis://acme:other@127.0.0.1:" + port + "/3", 3, ""},
		{"rediss://acme:other@127.0.0.1:" + secure + "/4", 4, ""},
		{"rediss://:secret@localhost:" + secure, 0, "certificate"},
		{"unix://" + r.Socket, 0, "NOAUTH"},
		{"unix://acme:secret@" + r.Socket, 0, "WRONGPASS"},
		{"unix://:secret@" + r.Socket + "?db=99", 0, "DB index"},
		{"unix://" + r.Socket + "-none", 0, "no such file"},
	} {
		t.Run(strings.ReplaceAll(tt.url, "/", "_"), func(t *testing.T) {
			if tt.want != "" {
				testkit.EventuallyWithin(t, 20*time.Second, "that Redis does not answer because of "+tt.want, func() bool {
					g := runGate(t, parseURL(t, tt.url), patient)
					defer g.end()
					testkit.Eventually(t, "that Redis does not answer", func() bool { return g.changes.Load() > 0 })
					told := (*g.told.Load()).Error()
					if strings.Contains(told, "secret") {
						t.Errorf("%s: told %q, want it without the password", tt.url, told)
					}
					return strings.Contains(told, tt.want) // on a busy machine, a TLS handshake may last too long
				})
				return
			}
			g := runGate(t, parseURL(t, tt.url), patient)
			defer g.end()
			g.awaitUp(t, true)
			c := client(t, r)
			_, _ = c.Do("AUTH", "secret")
			_, _ = c.Do("SELECT", tt.database)
			if keys, err := redis.Strings(c.Do("KEYS", "fl:*")); err != nil || len(keys) == 0 {
				t.Errorf("%s: keys in database %d = %q, %v, want the gate's", tt.url, tt.database, keys, err)
			}
			if _, err := c.Do("FLUSHALL"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// certificate returns the files of a certificate for 127.0.0.1, and of its key.
func certificate(t *testing.T) (certificate, key string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	s.Close()
	private, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b *pem.Block) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), write("key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: private})
}
