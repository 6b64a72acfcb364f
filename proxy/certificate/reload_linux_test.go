package certificate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// TestFilesHang has both files of a pair hang: the last good ones stay active, a reload is told so after one timeout, and the
// next one applies what they hold.
func TestFilesHang(t *testing.T) {
	t.Parallel()
	ca := certificatetest.New(t, "ca")
	cert, key := ca.Issue(t, "old.example", time.Hour).Write(t, t.TempDir())
	s := open(t, certificate.Files{ServerCert: cert, ServerKey: key}, nil)
	certLease, keyLease := testkit.TakeLease(t, cert), testkit.TakeLease(t, key)
	for range 2 {
		if r := s.Reload()[0]; r.Result != certificate.Failed || !errors.Is(r.Err, watch.ErrTimeout) {
			t.Errorf("Reload = %s, %v, want a failure: %v", r.Result, r.Err, watch.ErrTimeout)
		}
	}
	if names := s.Status()[0].Names; names[0] != "old.example" {
		t.Errorf("active certificate = %s, want that of before", names)
	}
	next := ca.Issue(t, "new.example", time.Hour)
	certLease.Write(t, string(next.Cert))
	keyLease.Write(t, string(next.Key))
	certLease.Release(t)
	keyLease.Release(t)
	testkit.Eventually(t, "new certificate", func() bool { return s.Reload()[0].Err == nil })
	if names := s.Status()[0].Names; names[0] != "new.example" {
		t.Errorf("active certificate = %s, want the new one", names)
	}
}
