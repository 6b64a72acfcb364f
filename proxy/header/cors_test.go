package header_test

import (
	"testing"

	"github.com/flowlatch/flowlatch/proxy/header"
)

func TestValidateOrigins(t *testing.T) {
	t.Parallel()
	for _, good := range [][]string{nil, {"*"}, {"https://a.example"}, {"http://localhost:5173", "https://*.example.com"}, {"http://[::1]:8080"}, {"app://x"}} {
		if err := header.ValidateOrigins(good); err != nil {
			t.Errorf("ValidateOrigins(%q) = %v, want nil", good, err)
		}
	}
	for _, bad := range []string{"", "null", "a.example", "https://a.example/", "https://a.example/x", "https://A.example", "https://a*.example", "https://*", "https://a.example?x", "https://u@a.example", "https://", "*.example.com", "https://*.*.example", "https://a.example:443", "http://*.a.example:80", "https://a.example:", "https://münchen.example"} {
		if err := header.ValidateOrigins([]string{bad}); err == nil {
			t.Errorf("ValidateOrigins(%q) = nil, want an error", bad)
		}
	}
	if err := header.ValidateOrigins([]string{"*", "https://a.example"}); err == nil {
		t.Error("ValidateOrigins of * and an origin = nil, want an error")
	}
}
