package main

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// malformed has values that each setting must refuse, with part of the reason.
var malformed = map[string][]struct{ value, why string }{
	"listen": {
		{"8080", "want HOST:PORT"},
		{"127.0.0.1:http", "from 0 to 65535"},
		{":65536", "from 0 to 65535"},
		{":-1", "from 0 to 65535"},
		{":", "from 0 to 65535"},
		{"::1:80", "want HOST:PORT"},
	},
	"preset": {{"dify", "want flowise or langflow or n8n"}, {"Flowise", "want flowise"}, {"flowise,n8n", "want flowise"}},
	"admin":  {{"9901", "want HOST:PORT"}, {"127.0.0.1:99999", "from 0 to 65535"}},
	"admin-token": {
		{"0123456789abcdef0123456789abcdef", "want file:PATH"},
		{"file:", "want file:PATH"},
		{"file:missing", "no such file"},
		{"file:malformed_test.go", "larger than 4 KiB"},
		{"file:.", "a directory, not a regular file"},
	},
	"upstream-api": {
		{"the-key-itself", "want file:PATH"},
		{"file:", "want file:PATH"},
		{"file:missing", "no such file"},
		{"file:malformed_test.go", "does not hold one API key"},
	},
	"upstream": {
		{"127.0.0.1:3000", "want a URL, which begins with http:// or https://, as in http://127.0.0.1:3000"},
		{"runner", "want a URL"},
		{"ftp://runner", "want a URL"},
		{"http://", "want a URL"},
		{"http://runner?a=b", "want a URL"},
		{"http://runner/#a", "want a URL"},
		{"http://runner/%2e%2e", "want a URL"},
		{"http://%zz", "want a URL"},
	},
	"upstream-ca":            {{"missing.pem", "no such file"}, {"malformed_test.go", "no certificate"}},
	"upstream-cert":          {{"missing.pem", "no such file"}, {"malformed_test.go", "no certificate"}},
	"upstream-key":           {{"missing.pem", "no such file"}, {"malformed_test.go", "no private key"}},
	"tls-cert":               {{"missing.pem", "no such file"}, {"malformed_test.go", "no certificate"}},
	"tls-key":                {{"missing.pem", "no such file"}, {"malformed_test.go", "no private key"}},
	"client-ca":              {{"missing.pem", "no such file"}, {"malformed_test.go", "no certificate"}},
	"upstream-timeout":       {{"0s", "more than zero"}, {"10", "want a duration"}, {"soon", "want a duration"}, {"-1s", "want a duration"}},
	"upstream-transport":     {{"own", "want direct or standard"}, {"Direct", "want direct"}},
	"upstream-authorization": {{"maybe", "want remove, forward or file:PATH"}, {"file:relative", "absolute path"}, {"file:", "absolute path"}, {"Forward", "want remove"}},
	"expose":                 {{",", "no route group"}, {"predict,nosuch", `"nosuch"`}, {"Predict", `"Predict"`}},
	"discovery":              {{"shut", "want open or keyed"}, {"Open", "want open or keyed"}},
	"identity-headers":       {{"on", "want true or false"}, {"True", "want true or false"}},
	"public-url":             {{"https://flows.example.com/path", "want an origin"}, {"flows.example.com", "want an origin"}, {"ftp://flows.example.com", "want an origin"}},
	"path-prefix": {
		{"chat", "want a path such as /chat"},
		{"/", "none at the end"},
		{"/chat/", "none at the end"},
		{"//chat", "single slashes"},
		{"/a/../b", "want a path such as /chat"},
		{"/ch%61t", "want a path such as /chat"},
		{"/chat?x", "want a path such as /chat"},
		{"/" + strings.Repeat("a", 256), "at most 256 bytes"},
		{"https://www.example.com/chat", "want a path such as /chat"},
	},
	"max-body": {
		{"0", "more than nothing"},
		{"lots", "want a size"},
		{"1.5MiB", "want a size"},
		{"-1", "want a size"},
		{"1mib", "want a size"},
		{"1048577GiB", "at most 1 PiB"},
		{"1000000000000000000", "want a size"},
	},
	"max-checked-body":      {{"0", "more than nothing"}, {"lots", "want a size"}},
	"failure-limit":         {{"30", "want a number and a time"}, {"0/1m", "want a number"}, {"30/0s", "want a number"}, {"-1/1m", "want a number"}, {"30/m", "want a number"}, {"none", "want a number"}},
	"max-connections":       {{"0", "want a number of connections"}, {"-1", "want a number"}, {"10k", "want a number"}, {"99999999", "want a number"}},
	"limits-redis":          {{"http://localhost", "not the URL of a Redis"}, {"redis://:secret@local host", "not the URL of a Redis"}, {"redis://redis:65536", "between 1 and 65535"}, {"redis://redis/1?db=2", "twice"}},
	"limits-replicas":       {{"0", "from 1 to 1000"}, {"-1", "from 1 to 1000"}, {"dns:", "from 1 to 1000"}, {"many", "from 1 to 1000"}, {"3/3", "from 0"}, {"-1/3", "from 0"}, {"1/", "from 0"}, {"/3", "from 0"}, {"0/1/3", "from 0"}},
	"limits-fallback":       {{"open", "want split, local or closed"}},
	"browser-secrets":       {{"testdata/none", "reading the secrets of browser tokens"}, {"testdata", "a directory"}},
	"cors-origins":          {{"null", "want an origin"}, {"https://a.example/", "want an origin"}, {"https://a.example,b.example", `"b.example"`}, {"*,https://a.example", "list it alone"}},
	"keys-require":          {{"a.yaml,../b.yaml", `"../b.yaml"`}, {"a.txt", "want the name of a file"}, {".a.yaml", "not hidden"}, {"dir/a.yaml", "want the name of a file"}},
	"wait-for-keys":         {{"5", "want a duration"}, {"-1s", "want a duration"}, {"forever", "want a duration"}},
	"cut-streams-on-revoke": {{"yes", "want true or false"}, {"1", "want true or false"}, {"True", "want true or false"}},
	"drain":                 {{"5", "want a duration"}, {"-1s", "want a duration"}, {"never", "want a duration"}},
	"trusted-proxies":       {{"10.0.0.0/33", "want a network"}, {"proxy", "want a network"}, {"0.0.0.0/0", "everybody"}, {"10.0.0.0/8,::/0", "everybody"}},
	"log-level":             {{"loud", "want debug or info"}, {"INFO", "want debug or info"}, {"trace", "want debug or info"}},
	"log-allowed":           {{"no", "want true or false"}, {"0", "want true or false"}, {"False", "want true or false"}},
	"log-format":            {{"xml", "want json or console"}},
	"usage-file":            nil, // any name may be that of a file
	"keys":                  nil, // any name may be that of a file
	"config":                nil, // see TestMissingSettingsFile
}

const publicKeyFile = `version: 1
chatflows:
  - id: 3f1c2a9e-1111-4222-8333-444455556666
    public: true
`

func TestMalformedSetting(t *testing.T) {
	flags := settingFlags(t)
	if got, want := slices.Sorted(maps.Keys(malformed)), slices.Sorted(maps.Keys(flags)); !slices.Equal(got, want) {
		t.Fatalf("settings with malformed values = %q, want those of serve: %q", got, want)
	}
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	for name, rows := range malformed {
		variable := flags[name].Envs[0]
		for _, row := range rows {
			t.Run(name+"="+row.value, func(t *testing.T) {
				t.Run("flag", func(t *testing.T) {
					wantFault(t, "--"+name, row.why, "--keys", keys, "--"+name+"="+row.value)
				})
				t.Run("environment", func(t *testing.T) {
					t.Setenv(variable, row.value)
					wantFaultOf(t, "check", exitFailed, "environment variable "+variable, row.why, "--keys", keys)
				})
				t.Run("file", func(t *testing.T) {
					snake := strings.ReplaceAll(name, "-", "_")
					path := testkit.WriteFile(t, "flowlatch.yaml", "# settings\n"+snake+": '"+row.value+"'\n")
					wantFaultOf(t, "check", exitFailed, path+":2: "+snake, row.why, "--keys", keys, "--config", path)
				})
			})
		}
	}
}

// TestMalformedItems checks that, if one setting has several faults, each is reported with its place.
func TestMalformedItems(t *testing.T) {
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	path := testkit.WriteFile(t, "flowlatch.yaml", "trusted_proxies: [here, 10.0.0.0/8, there]\n")
	wantFault(t, path+":1: trusted_proxies", `"here"`, "--keys", keys, "--config", path)
	wantFault(t, path+":1: trusted_proxies", `"there"`, "--keys", keys, "--config", path)
	path = testkit.WriteFile(t, "flowlatch.yaml", "cors_origins: [https://a.example, b.example, https://c.example/path]\n")
	wantFault(t, path+":1: cors_origins", `"b.example"`, "--keys", keys, "--config", path)
	wantFault(t, path+":1: cors_origins", `"https://c.example/path"`, "--keys", keys, "--config", path)
	wantFault(t, "--trusted-proxies", `"there"`, "--keys", keys, "--trusted-proxies", "here,there")
}

func TestMissingSettingsFile(t *testing.T) {
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	path := filepath.Join(t.TempDir(), "missing.yaml")
	wantFault(t, "--config", "missing.yaml", "--keys", keys, "--config", path)
	t.Setenv("FLOWLATCH_CONFIG", path)
	wantFault(t, "environment variable FLOWLATCH_CONFIG", "missing.yaml", "--keys", keys)
}

func TestEmptySetting(t *testing.T) {
	path := testkit.WriteFile(t, "flowlatch.yaml", "keys: ''\n")
	wantFaultOf(t, "check", exitFailed, "--keys", "must not be empty", "--keys=")
	wantFaultOf(t, "check", exitFailed, path+":1: keys", "must not be empty", "--config", path)
	wantFaultOf(t, "check", exitFailed, "--listen", "want HOST:PORT", "--listen=")
	wantFaultOf(t, "check", exitFailed, "--expose", "no route group", "--expose=")
}

// wantFault wants check to report a fault, and serve to refuse to start with the same one. If serve starts
// nevertheless, it ends because there is no key file.
func wantFault(t *testing.T, place, why string, args ...string) {
	t.Helper()
	wantFaultOf(t, "check", exitFailed, place, why, args...)
	wantFaultOf(t, "serve", exitUsage, place, why, append(args, "--keys", filepath.Join(t.TempDir(), "none.yaml"))...)
}

// wantFaultOf runs a command that must fail with a line that begins with the place and says why.
func wantFaultOf(t *testing.T, command string, want int, place, why string, args ...string) {
	t.Helper()
	args = append([]string{command}, args...)
	code, stdout, stderr := flowlatch(t, args...)
	if code != want || stdout != "" {
		t.Errorf("run(%q) = %d, %q on stdout, want %d and nothing", args, code, stdout, want)
	}
	line := regexp.MustCompile(`(?m)^(flowlatch: )?` + regexp.QuoteMeta(place) + `: .*` + regexp.QuoteMeta(why))
	if !line.MatchString(stderr) {
		t.Errorf("run(%q) = %q on stderr, want a match for %q", args, stderr, line)
	}
}

// settingFlags returns the flags of serve that are settings, by name.
func settingFlags(t *testing.T) map[string]*kong.Flag {
	t.Helper()
	flags := map[string]*kong.Flag{}
	for _, leaf := range model(t).Model.Leaves(true) {
		if leaf.Name != "serve" {
			continue
		}
		for _, f := range leaf.Flags {
			if f.Name != "help" {
				flags[f.Name] = f
			}
		}
	}
	return flags
}

// TestUpstreamAPIAlone sets --upstream-api for a gate that has no console, or is not in front of Flowise.
func TestUpstreamAPIAlone(t *testing.T) {
	keys, key := testkit.WriteFile(t, "keys.yaml", publicKeyFile), testkit.WriteFile(t, "flowise.key", "an-api-key-of-flowise")
	wantFault(t, "--upstream-api", "it is for the console, which needs --admin-token", "--keys", keys, "--upstream-api=file:"+key)
	wantFault(t, "--upstream-api", "it is for Flowise; leave it out with the preset n8n", "--keys", keys, "--preset=n8n", "--upstream-api=file:"+key)
}
