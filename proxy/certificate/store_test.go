package certificate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const year = 365 * 24 * time.Hour

// told collects what a store tells.
type told struct {
	mu  sync.Mutex
	all []certificate.Reload
}

func (l *told) add(r certificate.Reload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
}

func (l *told) list() []certificate.Reload {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]certificate.Reload(nil), l.all...)
}

// await waits for the nth thing that is told, counted from 1.
func (l *told) await(t *testing.T, n int) certificate.Reload {
	t.Helper()
	if !testkit.Poll(testkit.Timeout, func() bool { return len(l.list()) >= n }) {
		t.Fatalf("reloads within %s = %+v, want %d", testkit.Timeout, l.list(), n)
	}
	return l.list()[n-1]
}

// open opens a store of files and runs it.
func open(t *testing.T, files certificate.Files, poll time.Duration) (*certificate.Store, *told) {
	t.Helper()
	l := &told{}
	s, err := certificate.Open(files, certificate.Options{Poll: poll, OnReload: l.add})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return s, l
}

// shown returns the serial number of the certificate that a server with the store's configuration shows.
func shown(t *testing.T, s *certificate.Store) string {
	t.Helper()
	near, far := net.Pipe()
	server := tls.Server(far, s.Server())
	go func() { _ = server.Handshake() }()
	client := tls.Client(near, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	defer near.Close()
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := client.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Errorf("negotiated protocol = %q, want h2", p)
	}
	return client.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRenewal renews a pair in the ways that there are, each seen without asking.
func TestRenewal(t *testing.T) {
	t.Parallel()
	authority := certificatetest.New(t, "authority")
	for _, row := range []struct {
		name string
		poll time.Duration
		// lay makes the files of a pair in a directory, and renews them the next time.
		lay func(t *testing.T, dir string, p certificatetest.Pair)
	}{
		{"replaced, one after the other", watch.Poll, func(t *testing.T, dir string, p certificatetest.Pair) { p.Write(t, dir) }},
		{"written in place", watch.Poll, func(t *testing.T, dir string, p certificatetest.Pair) {
			write(t, filepath.Join(dir, "tls.crt"), p.Cert)
			write(t, filepath.Join(dir, "tls.key"), p.Key)
		}},
		{"a mounted Secret", watch.Poll, func(t *testing.T, dir string, p certificatetest.Pair) {
			version := filepath.Join(dir, "..version-"+p.Serial)
			if err := os.Mkdir(version, 0o700); err != nil {
				t.Fatal(err)
			}
			p.Write(t, version)
			if err := os.Symlink(filepath.Base(version), filepath.Join(dir, "..data_tmp")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"tls.crt", "tls.key"} {
				_ = os.Symlink("..data/"+name, filepath.Join(dir, name)) // there from the second time on
			}
		}},
		{"seen by the poll alone", 10 * time.Millisecond, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			first, second := authority.Issue(t, "one.example", year), authority.Issue(t, "two.example", 2*year)
			lay := row.lay
			if lay == nil { // by other names of the files, in a directory that nobody watches
				elsewhere := t.TempDir()
				lay = func(t *testing.T, _ string, p certificatetest.Pair) {
					for name, content := range map[string][]byte{"tls.crt": p.Cert, "tls.key": p.Key} {
						write(t, filepath.Join(elsewhere, name), content)
						_ = os.Link(filepath.Join(elsewhere, name), filepath.Join(dir, name))
					}
				}
			}
			lay(t, dir, first)
			s, l := open(t, certificate.Files{ServerCert: filepath.Join(dir, "tls.crt"), ServerKey: filepath.Join(dir, "tls.key")}, row.poll)
			if got := shown(t, s); got != first.Serial {
				t.Errorf("certificate = %s, want %s", got, first.Serial)
			}
			lay(t, dir, second)
			r := l.await(t, 1)
			if r.Name != certificate.Server || r.Result != certificate.Loaded || r.Err != nil ||
				r.Old.Names[0] != "one.example" || r.New.Names[0] != "two.example" || r.Old.Serials[0] != first.Serial || r.New.Serials[0] != second.Serial || !r.New.NotAfter.After(r.Old.NotAfter) {
				t.Errorf("reload = %+v, want that of two.example after one.example", r)
			}
			if got := shown(t, s); got != second.Serial {
				t.Errorf("certificate after the renewal = %s, want %s", got, second.Serial)
			}
		})
	}
}

// TestFault puts what is no pair in the place of one, and a good one after it.
func TestFault(t *testing.T) {
	t.Parallel()
	authority := certificatetest.New(t, "authority")
	good, other, ended := authority.Issue(t, "good.example", year), authority.Issue(t, "other.example", year), authority.Issue(t, "ended.example", -time.Hour)
	next := authority.Issue(t, "next.example", year)
	for _, row := range []struct {
		name      string
		cert, key []byte
		why       string
	}{
		{"of two pairs", good.Cert, other.Key, "not that of the first certificate"},
		{"half of a certificate", other.Cert[:len(other.Cert)/2], other.Key, "breaks off"},
		{"half of a key", other.Cert, other.Key[:len(other.Key)/2], "breaks off"},
		{"empty", nil, nil, "no certificate"},
		{"empty key", other.Cert, nil, "no private key"},
		{"the other way round", other.Key, other.Cert, "no certificate"},
		{"a malformed certificate", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), other.Key, "malformed"},
		{"an encrypted key", other.Cert, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), "openssl pkey"},
		{"an end in the past", ended.Cert, ended.Key, "it ended at"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cert, key := good.Write(t, dir)
			s, l := open(t, certificate.Files{ServerCert: cert, ServerKey: key}, watch.Poll)
			certificatetest.Write(t, cert, row.cert)
			certificatetest.Write(t, key, row.key)
			r := l.await(t, 1)
			if r.Result != certificate.Failed || r.Err == nil || !strings.Contains(r.Err.Error(), row.why) || !strings.Contains(r.Err.Error(), dir) {
				t.Errorf("reload = %+v, want one that failed, with the file and %q", r, row.why)
			}
			if r.Err != nil && strings.Contains(r.Err.Error(), "BEGIN") {
				t.Errorf("the fault repeats the file: %v", r.Err)
			}
			if st := s.Status(); len(st) != 1 || st[0].Err == nil || st[0].Serials[0] != good.Serial {
				t.Errorf("status = %+v, want the fault and the good pair", st)
			}
			if got := shown(t, s); got != good.Serial {
				t.Errorf("certificate = %s, want the good one: %s", got, good.Serial)
			}
			if all := s.Reload(); len(all) != 1 || all[0].Result != certificate.Failed {
				t.Errorf("reload that was asked for = %+v, want a failure", all)
			}
			next.Write(t, dir)
			for n := 2; l.await(t, n).Result != certificate.Loaded; n++ { // the one that was asked for was told, too
			}
			if st := s.Status(); st[0].Err != nil || shown(t, s) != next.Serial {
				t.Errorf("status after it was mended = %+v, want the next pair and no fault", st)
			}
		})
	}
}

// TestFaultIsToldOnce looks at a fault again and again.
func TestFaultIsToldOnce(t *testing.T) {
	t.Parallel()
	authority := certificatetest.New(t, "authority")
	good := authority.Issue(t, "good.example", year)
	dir := t.TempDir()
	cert, key := good.Write(t, dir)
	_, l := open(t, certificate.Files{ServerCert: cert, ServerKey: key}, 5*time.Millisecond)
	certificatetest.Write(t, key, []byte("none"))
	l.await(t, 1)
	certificatetest.Write(t, key, good.Key) // as it was in force
	if r := l.await(t, 2); r.Result != certificate.Unchanged {
		t.Errorf("second reload = %+v, want that the pair is as it was", r)
	}
}

// TestEnded opens a pair that has ended, since the others may be no better off without it, and takes up
// another one that has.
func TestEnded(t *testing.T) {
	authority := certificatetest.New(t, "authority")
	first, second := authority.Issue(t, "a.example", -time.Hour), authority.Issue(t, "b.example", -time.Minute)
	dir := t.TempDir()
	cert, key := first.Write(t, dir)
	s, _ := open(t, certificate.Files{ServerCert: cert, ServerKey: key}, watch.Poll)
	if st := s.Status(); st[0].NotAfter.After(time.Now()) {
		t.Errorf("status = %+v, want an end in the past", st)
	}
	second.Write(t, dir)
	if all := s.Reload(); all[0].Err != nil || all[0].New.Serials[0] != second.Serial {
		t.Errorf("reload = %+v, want the other one in force", all)
	}
}

// TestAuthorities takes an authority out of a bundle: callers that it signed for are refused from then on, also
// those that go on with an earlier session.
func TestAuthorities(t *testing.T) {
	ours, partner := certificatetest.New(t, "ours"), certificatetest.New(t, "partner")
	dir := t.TempDir()
	cert, key := ours.Issue(t, "gate.example", year).Write(t, dir)
	bundle := filepath.Join(dir, "clients.pem")
	certificatetest.Write(t, bundle, append(append([]byte{}, ours.PEM...), partner.PEM...))
	s, _ := open(t, certificate.Files{ServerCert: cert, ServerKey: key, ClientCA: bundle}, time.Hour)
	if st := s.Status(); len(st) != 2 || st[1].Name != certificate.ClientCA || strings.Join(st[1].Names, " ") != "CN=ours CN=partner" {
		t.Errorf("status = %+v, want the pair and both authorities", st)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.Server())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1)
				if _, err := c.Read(b); err == nil {
					_, _ = c.Write(b)
				}
			}()
		}
	}()
	sessions := tls.NewLRUClientSessionCache(10)
	// try says whether a caller gets through, and whether it went on with a session.
	try := func(own ...tls.Certificate) (through, resumed bool) {
		config := ours.Client(own...)
		config.ClientSessionCache = sessions
		c, err := tls.Dial("tcp", l.Addr().String(), config)
		if err != nil {
			return false, false
		}
		defer c.Close()
		_, _ = c.Write([]byte("x"))
		b := make([]byte, 1)
		_, err = c.Read(b)
		return err == nil, c.ConnectionState().DidResume
	}
	caller := partner.Issue(t, "caller", year).Certificate(t)
	if through, _ := try(); through {
		t.Error("a caller without a certificate got through")
	}
	if through, _ := try(certificatetest.New(t, "stranger").Issue(t, "x", year).Certificate(t)); through {
		t.Error("a caller of an unknown authority got through")
	}
	if through, resumed := try(caller); !through || resumed {
		t.Errorf("the partner's caller: through %t, resumed %t, want through and no session", through, resumed)
	}
	if through, resumed := try(caller); !through || !resumed {
		t.Fatalf("the partner's caller again: through %t, resumed %t, want both", through, resumed)
	}
	certificatetest.Write(t, bundle, ours.PEM)
	if all := s.Reload(); all[1].Result != certificate.Loaded {
		t.Fatalf("reload = %+v, want the shorter bundle", all)
	}
	if through, _ := try(caller); through {
		t.Error("the caller of an authority that was taken out got through")
	}
	if through, _ := try(ours.Issue(t, "own", year).Certificate(t)); !through {
		t.Error("the caller of the authority that stayed did not get through")
	}
}

// TestOpen has everything that is wrong told at once.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.pem")
	bad := filepath.Join(dir, "bad.pem")
	write(t, bad, []byte("nothing"))
	_, err := certificate.Open(certificate.Files{ServerCert: missing, ServerKey: missing, ClientCA: bad, UpstreamCA: bad}, certificate.Options{})
	if err == nil || strings.Count(err.Error(), missing) < 2 || strings.Count(err.Error(), bad) != 2 {
		t.Errorf("Open = %v, want every file named", err)
	}
	s, err := certificate.Open(certificate.Files{}, certificate.Options{})
	if err != nil || s.Server() != nil || len(s.Status()) != 0 || len(s.Reload()) != 0 {
		t.Errorf("Open without files = %v, want a store without TLS for callers", err)
	}
	if c := s.Upstream(); c.RootCAs != nil || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("Upstream() = %+v, want the system's authorities", c)
	}
}

// TestUpstream renews what is shown to the runner and what it is checked against.
func TestUpstream(t *testing.T) {
	authority, other := certificatetest.New(t, "authority"), certificatetest.New(t, "other")
	dir := t.TempDir()
	first, second := authority.Issue(t, "gate", year), authority.Issue(t, "gate", year)
	cert, key := first.Write(t, dir)
	bundle := filepath.Join(dir, "ca.pem")
	certificatetest.Write(t, bundle, authority.PEM)
	s, _ := open(t, certificate.Files{UpstreamCert: cert, UpstreamKey: key, UpstreamCA: bundle}, time.Hour)
	check := func(pair certificatetest.Pair, from *certificatetest.Authority) {
		t.Helper()
		c := s.Upstream()
		own, err := c.GetClientCertificate(nil)
		if err != nil || own.Leaf.SerialNumber.Text(16) != pair.Serial {
			t.Errorf("certificate = %v, %v, want %s", own.Leaf.SerialNumber, err, pair.Serial)
		}
		want := x509.NewCertPool()
		want.AppendCertsFromPEM(from.PEM)
		if !c.RootCAs.Equal(want) {
			t.Error("the runner is checked against other authorities than those of the file")
		}
	}
	check(first, authority)
	second.Write(t, dir)
	certificatetest.Write(t, bundle, other.PEM)
	s.Reload()
	check(second, other)
	same := s.Upstream()
	certificatetest.Write(t, key, []byte("none"))
	if s.Reload(); s.Upstream() != same {
		t.Error("a fault makes the connections to the runner begin anew")
	}
	if s.Server() != nil {
		t.Error("there is TLS for callers, want none")
	}
}
