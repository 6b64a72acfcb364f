package route

import (
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

func TestParseBearer(t *testing.T) {
	tests := map[string]Bearer{
		"Bearer abc":            {Token: "abc", Present: true},
		"bearer abc":            {Token: "abc", Present: true},
		"BEARER abc":            {Token: "abc", Present: true},
		"Bearer   abc":          {Token: "abc", Present: true},
		"Bearer a-._~+/b==":     {Token: "a-._~+/b==", Present: true},
		"Bearer":                {Present: true},
		"Bearer ":               {Present: true},
		"Bearer =":              {Present: true},
		"Bearer a b":            {Present: true},
		"Bearer a, Bearer b":    {Present: true},
		"Bearer a\tb":           {Present: true},
		"Bearer \u00e4":         {Present: true},
		"Bearer a=b":            {Present: true},
		"Bearer\tabc":           {},
		"BearerX":               {},
		"Bearer:abc":            {},
		"Basic YTpi":            {},
		"Basic x Bearer abc":    {}, // Flowise would take what follows "Bearer "
		"abc":                   {},
		"":                      {},
		`Bearer token="abc"`:    {Present: true},
		"Bearer \u212aabc":      {Present: true},
		"Bearer abc\u00a0":      {Present: true},
		"Bearer abc;realm=\"\"": {Present: true},
	}
	for value, want := range tests {
		if got, err := ParseBearer(http.Header{"Authorization": {value}}); got != want || err != nil {
			t.Errorf("ParseBearer(%q) = %+v, %v, want %+v", value, got, err, want)
		}
	}
	if _, err := ParseBearer(http.Header{"Authorization": {"Bearer a", "Bearer a"}}); err == nil || err.Code != problem.BadRequest {
		t.Errorf("ParseBearer of two headers = %v, want bad_request", err)
	}
	if got, err := ParseBearer(http.Header{}); got != (Bearer{}) || err != nil {
		t.Errorf("ParseBearer of none = %+v, %v, want nothing", got, err)
	}
}

// FuzzParseBearer: a token comes out only if the header is the scheme, spaces and that token.
func FuzzParseBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer  abc", "Bearer a b", "Basic x", "Bearer ", "Bearer ====", "BearerX"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		b, err := ParseBearer(http.Header{"Authorization": {value}})
		if err != nil {
			t.Fatalf("ParseBearer(%q) = %v; one header is never an error", value, err)
		}
		if b.Token == "" {
			return
		}
		scheme, rest, _ := strings.Cut(value, " ")
		if !b.Present || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != b.Token || !keystore.IsToken(b.Token) {
			t.Errorf("ParseBearer(%q) = %+v", value, b)
		}
	})
}
