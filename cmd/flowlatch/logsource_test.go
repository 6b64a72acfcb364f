package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryLineIsDocumented reads the source: every message and every field that it can log must be in docs/logs.md, and
// every message of docs/logs.md must be in the source.
func TestEveryLineIsDocumented(t *testing.T) {
	page := readLogPage(t)
	all := slices.Clone(page.fields)
	for _, fields := range page.messages {
		all = append(all, fields...)
	}
	written := map[string]bool{}
	for _, dir := range []string{"../../proxy", "../../proxy/transport", "../../proxy/admin/console", "../../proxy/admin/signin", "../../keystore", "../../keystore/watch", "."} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("Glob(%q) = %q, %v, want some files", dir, files, err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				message, fields := logChain(n)
				for _, field := range fields {
					if !slices.Contains(all, field) {
						t.Errorf("%s writes a field %q, want it in docs/logs.md", path, field)
					}
				}
				if message == "" || message == "request" {
					return true
				}
				written[message] = true
				row := page.row(t, message)
				for _, field := range fields {
					if !slices.Contains(row, field) {
						t.Errorf("%s writes a field %q with %q, want it in that row of docs/logs.md", path, field, message)
					}
				}
				return true
			})
		}
	}
	for begins := range page.messages {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(written)), func(m string) bool { return strings.HasPrefix(m, begins) }) {
			t.Errorf("docs/logs.md has a message %q, which is not in the source", begins)
		}
	}
}

// logChain returns the message and the fields of a chain such as log.Info().Str("a", …).Msg("b"), as far as they are
// constants. Other nodes have none.
func logChain(n ast.Node) (message string, fields []string) {
	for {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return message, fields
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return message, fields
		}
		switch method.Sel.Name {
		case "Msg":
			message = constant(call.Args)
		case "Err":
			if len(call.Args) == 1 && message != "" {
				fields = append(fields, "error")
			}
		case "Str", "Strs", "Int", "Int64", "Uint64", "Bool", "Dur", "Dict", "Interface", "Bytes", "Time", "Float64":
			if name := constant(call.Args); name != "" && len(call.Args) == 2 {
				fields = append(fields, name)
			}
		}
		n = method.X
	}
}

// constant returns the first argument if it is a string literal.
func constant(args []ast.Expr) string {
	if len(args) == 0 {
		return ""
	}
	literal, ok := args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(literal.Value)
	return text
}
