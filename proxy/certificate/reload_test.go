package certificate_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// TestFault replaces a pair by something invalid, and then by a valid pair.
func TestFault(t *testing.T) {
	for _, tt := range []struct {
		name string
		// files returns the contents of the two files.
		files func(good, other, expired certificatetest.Pair) (cert, key []byte)
		want  string
	}{
		{"of two pairs", func(good, other, _ certificatetest.Pair) (cert, key []byte) { return good.Cert, other.Key }, "not that of the first certificate"},
		{"half of a certificate", func(_, p, _ certificatetest.Pair) (cert, key []byte) { return p.Cert[:len(p.Cert)/2], p.Key }, "incomplete"},
		{"half of a key", func(_, p, _ certificatetest.Pair) (cert, key []byte) { return p.Cert, p.Key[:len(p.Key)/2] }, "incomplete"},
		{"empty", func(_, _, _ certificatetest.Pair) (cert, key []byte) { return nil, nil }, "no certificate"},
		{"empty key", func(_, p, _ certificatetest.Pair) (cert, key []byte) { return p.Cert, nil }, "no private key"},
		{"the other way round", func(_, p, _ certificatetest.Pair) (cert, key []byte) { return p.Key, p.Cert }, "no certificate"},
		{"a malformed certificate", func(_, p, _ certificatetest.Pair) (cert, key []byte) {
			return []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), p.Key
		}, "malformed"},
		{"an encrypted key", func(_, p, _ certificatetest.Pair) (cert, key []byte) {
			return p.Cert, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
		}, "openssl pkey"},
		{"expired", func(_, _, p certificatetest.Pair) (cert, key []byte) { return p.Cert, p.Key }, "it expired at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca := certificatetest.New(t, "ca")
			good, other := ca.Issue(t, "good.example", year), ca.Issue(t, "other.example", year)
			dir := t.TempDir()
			cert, key := good.Write(t, dir)
			var reports []certificate.Reload
			s := open(t, certificate.Files{ServerCert: cert, ServerKey: key}, func(r certificate.Reload) { reports = append(reports, r) })
			badCert, badKey := tt.files(good, other, ca.Issue(t, "expired.example", -time.Hour))
			certificatetest.Write(t, cert, badCert)
			certificatetest.Write(t, key, badKey)

			all := s.Reload()
			if err := all[0].Err; len(all) != 1 || all[0].Result != watch.Failed || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("Reload() = %+v, want a failure with the file and %q, and nothing of its content", all, tt.want)
			}
			if st := s.Status(); len(st) != 1 || st[0].Err == nil || st[0].Serials[0] != good.Serial || presented(t, s) != good.Serial {
				t.Errorf("Status() = %+v with certificate %s, want the fault and the good pair, %s", st, presented(t, s), good.Serial)
			}
			other.Write(t, dir)
			if s.Look(); len(reports) != 2 || reports[0].Result != watch.Failed || reports[1].Result != watch.Loaded {
				t.Errorf("reports = %+v, want the fault, and that the other pair applies", reports)
			}
			if st := s.Status(); st[0].Err != nil || presented(t, s) != other.Serial {
				t.Errorf("Status() = %+v, want the other pair and no fault", st)
			}
		})
	}
}

// TestHalfOfCAs writes a file of two CAs in place, one after the other. The file is already valid with the first one
// only.
func TestHalfOfCAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ca.pem")
		certificatetest.Write(t, path, certificatetest.New(t, "old").PEM)
		s := open(t, certificate.Files{UpstreamCA: path}, nil)
		whole := []byte{}
		for _, name := range []string{"one", "two"} {
			whole = append(whole, certificatetest.New(t, name).PEM...)
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			if s.Look(); s.Status()[0].Names[0] != "CN=old" {
				t.Errorf("CAs = %q while the file is written, want those of before", s.Status()[0].Names)
			}
		}
		time.Sleep(watch.SettleTime)
		if s.Look(); strings.Join(s.Status()[0].Names, " ") != "CN=one CN=two" {
			t.Errorf("CAs = %q, want both", s.Status()[0].Names)
		}
	})
}

// TestRun renews a pair in all the ways that are in use. Run notices each.
func TestRun(t *testing.T) {
	t.Parallel()
	ca := certificatetest.New(t, "ca")
	inPlace := func(t *testing.T, path string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		// write makes the files of a pair in dir, and renews them when called again. elsewhere is a directory that is not
		// watched.
		write func(t *testing.T, dir, elsewhere string, p certificatetest.Pair)
	}{
		{"replaced, one after the other", func(t *testing.T, dir, _ string, p certificatetest.Pair) { p.Write(t, dir) }},
		{"written in place", func(t *testing.T, dir, _ string, p certificatetest.Pair) {
			inPlace(t, filepath.Join(dir, "tls.crt"), p.Cert)
			inPlace(t, filepath.Join(dir, "tls.key"), p.Key)
		}},
		{"a mounted Secret", func(t *testing.T, dir, _ string, p certificatetest.Pair) {
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
				_ = os.Symlink("..data/"+name, filepath.Join(dir, name)) // exists from the second time on
			}
		}},
		{"by another link to the file, without an event", func(t *testing.T, dir, elsewhere string, p certificatetest.Pair) {
			for name, content := range map[string][]byte{"tls.crt": p.Cert, "tls.key": p.Key} {
				inPlace(t, filepath.Join(elsewhere, name), content)
				_ = os.Link(filepath.Join(elsewhere, name), filepath.Join(dir, name)) // exists from the second time on
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, elsewhere := t.TempDir(), t.TempDir()
			first, second := ca.Issue(t, "one.example", year), ca.Issue(t, "two.example", 2*year)
			tt.write(t, dir, elsewhere, first)
			s, reports := run(t, dir)
			if got := presented(t, s); got != first.Serial {
				t.Errorf("certificate = %s, want %s", got, first.Serial)
			}
			tt.write(t, dir, elsewhere, second)
			r := next(t, reports)
			if r.Name != certificate.Server || r.Result != watch.Loaded || r.Err != nil ||
				r.Old.Names[0] != "one.example" || r.New.Names[0] != "two.example" || r.Old.Serials[0] != first.Serial || r.New.Serials[0] != second.Serial || !r.New.NotAfter.After(r.Old.NotAfter) {
				t.Errorf("report = %+v, want that two.example replaced one.example", r)
			}
			if got := presented(t, s); got != second.Serial {
				t.Errorf("certificate after the renewal = %s, want %s", got, second.Serial)
			}
		})
	}
	t.Run("half of a pair", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, key := ca.Issue(t, "one.example", year).Write(t, dir)
		s, reports := run(t, dir)
		second := ca.Issue(t, "two.example", year)
		certificatetest.Write(t, filepath.Join(dir, "tls.crt"), second.Cert)
		if r := next(t, reports); r.Result != watch.Failed {
			t.Errorf("report = %+v, want a failure", r)
		}
		certificatetest.Write(t, key, second.Key)
		if r := next(t, reports); r.Result != watch.Loaded || presented(t, s) != second.Serial {
			t.Errorf("report = %+v, want that the pair applies", r)
		}
	})
}

// run runs a store with the pair in a directory.
func run(t *testing.T, dir string) (*certificate.Store, <-chan certificate.Reload) {
	t.Helper()
	reports := make(chan certificate.Reload, 100)
	s, err := certificate.Open(
		certificate.Files{ServerCert: filepath.Join(dir, "tls.crt"), ServerKey: filepath.Join(dir, "tls.key")},
		certificate.Options{Poll: 10 * time.Millisecond, OnReload: func(r certificate.Reload) { reports <- r }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return s, reports
}

func next(t *testing.T, reports <-chan certificate.Reload) (r certificate.Reload) {
	t.Helper()
	select {
	case r = <-reports:
	case <-time.After(testkit.Timeout):
		t.Fatal("no report")
	}
	return r
}

// TestConcurrentReloads uses a store from several goroutines while a file is replaced.
func TestConcurrentReloads(t *testing.T) {
	t.Parallel()
	ca, dir := certificatetest.New(t, "ca"), t.TempDir()
	cert, key := ca.Issue(t, "gate", year).Write(t, dir)
	s := open(t, certificate.Files{ServerCert: cert, ServerKey: key, UpstreamCA: cert}, func(certificate.Reload) {})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if s.Look(); len(s.Reload()) != 2 || s.Server() == nil || s.Upstream().RootCAs == nil || len(s.Status()) != 2 {
					t.Error("a certificate is missing")
				}
			}
		})
	}
	last := ""
	for range 20 {
		p := ca.Issue(t, "gate", year)
		p.Write(t, dir)
		last = p.Serial
	}
	all.Wait()
	if s.Reload(); presented(t, s) != last {
		t.Errorf("certificate = %s, want the last one: %s", presented(t, s), last)
	}
}
