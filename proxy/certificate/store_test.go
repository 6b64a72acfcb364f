package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const year = 365 * 24 * time.Hour

// open opens a store without running it.
func open(t *testing.T, files certificate.Files, onReload func(certificate.Reload)) *certificate.Store {
	t.Helper()
	s, err := certificate.Open(files, certificate.Options{Poll: time.Hour, OnReload: onReload})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// presented returns the serial number of the certificate that a server with the store's configuration presents.
func presented(t *testing.T, s *certificate.Store) string {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	server := tls.Server(far, s.Server())
	go func() { _ = server.Handshake() }()
	client := tls.Client(near, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := client.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Errorf("negotiated protocol = %q, want h2", p)
	}
	return client.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

// TestOpen reports everything that is wrong at once.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	missing, bad, large := filepath.Join(dir, "missing.pem"), filepath.Join(dir, "bad.pem"), filepath.Join(dir, "large.pem")
	certificatetest.Write(t, bad, []byte("nothing"))
	certificatetest.Write(t, large, nil)
	if err := os.Truncate(large, certificate.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		files certificate.Files
		want  []string
	}{
		{"missing and bad", certificate.Files{ServerCert: missing, ServerKey: missing, ClientCA: bad, UpstreamCA: bad}, []string{missing, missing, bad, bad}},
		{"a directory", certificate.Files{ClientCA: dir}, []string{dir, "not a regular file"}},
		{"a device", certificate.Files{ClientCA: "/dev/zero"}, []string{"/dev/zero"}},
		{"too large", certificate.Files{ClientCA: large}, []string{large, "larger than"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := certificate.Open(tt.files, certificate.Options{})
			if err == nil {
				t.Fatal("Open = nil, want an error")
			}
			rest := err.Error()
			for _, want := range tt.want {
				var found bool
				if _, rest, found = strings.Cut(rest, want); !found {
					t.Errorf("Open = %v, want in it %q in this order", err, tt.want)
				}
			}
		})
	}
	s := open(t, certificate.Files{}, nil)
	if s.Server() != nil || len(s.Status()) != 0 || len(s.Reload()) != 0 {
		t.Errorf("Server() = %v, Status() = %v without files, want none", s.Server(), s.Status())
	}
	if c := s.Upstream(); c.RootCAs != nil || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("Upstream() = %+v, want the CAs of the system", c)
	}
}

// TestExpired opens a pair that has expired, and replaces it by another expired one.
func TestExpired(t *testing.T) {
	ca := certificatetest.New(t, "ca")
	first, second := ca.Issue(t, "a.example", -time.Hour), ca.Issue(t, "b.example", -time.Minute)
	dir := t.TempDir()
	cert, key := first.Write(t, dir)
	s := open(t, certificate.Files{ServerCert: cert, ServerKey: key}, nil)
	if st := s.Status(); st[0].NotAfter.After(time.Now()) {
		t.Errorf("Status() = %+v, want a time in the past", st)
	}
	second.Write(t, dir)
	if all := s.Reload(); all[0].Err != nil || all[0].New.Serials[0] != second.Serial {
		t.Errorf("Reload() = %+v, want the second pair", all)
	}
}

// TestClientCA removes a CA from the file. From then on, clients with certificates of that CA are refused, even if they
// resume a session.
func TestClientCA(t *testing.T) {
	ours, partner := certificatetest.New(t, "ours"), certificatetest.New(t, "partner")
	dir := t.TempDir()
	cert, key := ours.Issue(t, "gate.example", year).Write(t, dir)
	cas := filepath.Join(dir, "clients.pem")
	certificatetest.Write(t, cas, append(append([]byte{}, ours.PEM...), partner.PEM...))
	s := open(t, certificate.Files{ServerCert: cert, ServerKey: key, ClientCA: cas}, nil)
	if st := s.Status(); len(st) != 2 || st[1].Name != certificate.ClientCA || strings.Join(st[1].Names, " ") != "CN=ours CN=partner" {
		t.Errorf("Status() = %+v, want the pair and both CAs", st)
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
	connect := func(own ...tls.Certificate) (accepted, resumed bool) {
		config := ours.Client(own...)
		config.ClientSessionCache = sessions
		c, err := tls.Dial("tcp", l.Addr().String(), config)
		if err != nil {
			return false, false
		}
		defer c.Close()
		_, _ = c.Write([]byte("x"))
		_, err = c.Read(make([]byte, 1))
		return err == nil, c.ConnectionState().DidResume
	}
	client := partner.Issue(t, "client", year).Certificate(t)
	if accepted, _ := connect(); accepted {
		t.Error("a client without a certificate was accepted")
	}
	if accepted, _ := connect(certificatetest.New(t, "unknown").Issue(t, "x", year).Certificate(t)); accepted {
		t.Error("a client of an unknown CA was accepted")
	}
	if accepted, resumed := connect(client); !accepted || resumed {
		t.Errorf("the partner's client: accepted %t, resumed %t, want accepted in a new session", accepted, resumed)
	}
	if accepted, resumed := connect(client); !accepted || !resumed {
		t.Fatalf("the partner's client again: accepted %t, resumed %t, want both", accepted, resumed)
	}
	certificatetest.Write(t, cas, ours.PEM)
	if all := s.Reload(); all[1].Result != watch.Loaded {
		t.Fatalf("Reload() = %+v, want the shorter file", all)
	}
	if accepted, _ := connect(client); accepted {
		t.Error("the client of a removed CA was accepted")
	}
	if accepted, _ := connect(ours.Issue(t, "own", year).Certificate(t)); !accepted {
		t.Error("the client of the other CA was not accepted")
	}
}

// TestUpstream replaces the client certificate for the upstream, and the CAs for the upstream's certificate.
func TestUpstream(t *testing.T) {
	ca, other := certificatetest.New(t, "ca"), certificatetest.New(t, "other")
	dir := t.TempDir()
	first, second := ca.Issue(t, "gate", year), ca.Issue(t, "gate", year)
	cert, key := first.Write(t, dir)
	cas := filepath.Join(dir, "ca.pem")
	certificatetest.Write(t, cas, ca.PEM)
	s := open(t, certificate.Files{UpstreamCert: cert, UpstreamKey: key, UpstreamCA: cas}, nil)
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
			t.Error("the upstream is checked against other CAs than those of the file")
		}
	}
	check(first, ca)
	second.Write(t, dir)
	certificatetest.Write(t, cas, other.PEM)
	s.Reload()
	check(second, other)
	same := s.Upstream()
	certificatetest.Write(t, key, []byte("none"))
	if s.Reload(); s.Upstream() != same {
		t.Error("Upstream() is another configuration after a fault, want the same")
	}
	if s.Server() != nil {
		t.Error("Server() is a configuration, want nil")
	}
}
