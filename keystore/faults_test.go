package keystore_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

var verb = regexp.MustCompile(`%[.0-9]*[a-z]`)

// formats returns the messages that the source file passes to the named functions, as written there.
func formats(t *testing.T, path string, functions ...string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains(functions, f.Sel.Name) {
			return true
		}
		for _, arg := range call.Args {
			if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, text)
				break
			}
		}
		return true
	})
	if len(list) == 0 {
		t.Fatalf("no message in %s", path)
	}
	return list
}

// provoked returns all faults that the bad files of the tests cause.
func provoked(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = keystore.Parse("f", data)
		fmt.Fprintln(&all, err)
	}
	for _, test := range byteFiles() {
		_, err := keystore.Parse("f", []byte(test.data))
		fmt.Fprintln(&all, err)
	}
	for _, api := range []string{"{", apiJSON("Web "+flowiseA+" "+secretA, "Web "+flowiseB+" "+secretB), ""} {
		path, apiPath := withFlowise(t, usesFlowise, api)
		if api == "" {
			if err := os.Remove(apiPath); err != nil {
				t.Fatal(err)
			}
		}
		_, err := keystore.Open(path, keystore.Options{})
		fmt.Fprintln(&all, err)
	}
	return all.String()
}

// elsewhere are faults of key files in a directory, which TestParseSeveral provokes.
var elsewhere = []string{"neither a key nor a chatflow is listed; to take away all that a file lists, remove the file, or disable its keys"}

// Without a test that provokes a fault, nobody knows whether it is found.
func TestEveryFaultIsProvoked(t *testing.T) {
	all := provoked(t)
	for path, functions := range map[string][]string{
		"document.go":              {"Fault"},
		"parse.go":                 {"Fault"},
		"keyentry.go":              {"Fault", "twice", "Errorf"},
		"limitsentry.go":           {"Fault", "Errorf"},
		"browserentry.go":          {"Fault", "Errorf"},
		"values.go":                {"Fault", "Errorf"},
		"chatflowentry.go":         {"Fault", "twice", "Errorf"},
		"bodypolicy.go":            {"Fault", "Errorf"},
		"flowisekeys.go":           {"Fault"},
		"strictyaml/decode.go":     {"Fault"},
		"secret.go":                {"New", "Errorf"},
		"upstreamauthorization.go": {"Errorf"},
	} {
		for _, format := range formats(t, path, functions...) {
			var parts []string
			for _, part := range verb.Split(format, -1) {
				parts = append(parts, regexp.QuoteMeta(part))
			}
			if !slices.Contains(elsewhere, format) && !regexp.MustCompile(strings.Join(parts, ".*")).MatchString(all) {
				t.Errorf("%s: nothing in testdata provokes %q", path, format)
			}
		}
	}
}
