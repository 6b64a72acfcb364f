package console_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/proxy/admin/console"
)

// reference refers to a part of an OpenAPI file that is elsewhere in it.
type reference struct {
	Ref string `yaml:"$ref"`
}

func (r reference) name() string { return r.Ref[strings.LastIndexByte(r.Ref, '/')+1:] }

type content map[string]struct{ Schema reference }

// openAPI is the part of docs/admin-api.yaml that the test reads.
type openAPI struct {
	Paths map[string]map[string]struct {
		Parameters  []reference
		RequestBody struct{ Content content } `yaml:"requestBody"`
		Responses   map[string]struct{ Content content }
	}
	Components struct {
		Schemas map[string]struct {
			Required   []string
			Properties map[string]struct {
				Type  string
				Items struct {
					reference `yaml:",inline"`
					Type      string
				}
			}
		}
	}
}

// TestOpenAPI compares docs/admin-api.yaml, and the tables of docs/admin-api.md, with the code.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../docs/admin-api.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file openAPI
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	want, got := map[string][]string{}, map[string][]string{} // by operation: parameters, body, response
	types := map[string]reflect.Type{}
	addType(types, reflect.TypeOf(console.Problem{}))
	for _, op := range console.Operations() {
		parts := []string{op.Status(), name(types, op.Body), name(types, op.Response)}
		if strings.Contains(op.Path, "{id}") {
			parts = append(parts, "id")
		}
		if op.Method == "POST" {
			parts = append(parts, "version")
		} else if !strings.Contains(op.Path, "{id}") {
			parts = append(parts, "filter", "offset", "limit")
		}
		want[op.Method+" "+op.Path] = parts
	}
	for path, methods := range file.Paths {
		for method, op := range methods {
			var parts []string
			for status, response := range op.Responses {
				if status != "default" {
					parts = []string{status, op.RequestBody.Content["application/json"].Schema.name(), response.Content["application/json"].Schema.name()}
				}
			}
			for _, p := range op.Parameters {
				parts = append(parts, p.name())
			}
			got[strings.ToUpper(method)+" "+path] = parts
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-code +docs/admin-api.yaml):\n%s", diff)
	}
	wantFields, gotFields := map[string]map[string]string{}, map[string]map[string]string{} // type and whether it is required
	for name, typ := range types {
		wantFields[name] = fieldsOf(typ)
	}
	for name, schema := range file.Components.Schemas {
		gotFields[name] = map[string]string{}
		for field, p := range schema.Properties {
			kind := p.Type + p.Items.name() + p.Items.Type
			if slices.Contains(schema.Required, field) {
				kind += " required"
			}
			gotFields[name][field] = kind
		}
	}
	if diff := cmp.Diff(wantFields, gotFields); diff != "" {
		t.Errorf("fields (-code +docs/admin-api.yaml):\n%s", diff)
	}
}

func name(types map[string]reflect.Type, zero any) string {
	if zero == nil {
		return ""
	}
	addType(types, reflect.TypeOf(zero))
	return reflect.TypeOf(zero).Name()
}

func addType(types map[string]reflect.Type, t reflect.Type) {
	types[t.Name()] = t
	for i := range t.NumField() {
		if f := t.Field(i).Type; f.Kind() == reflect.Slice && f.Elem().Kind() == reflect.Struct {
			addType(types, f.Elem())
		}
	}
}

// fieldsOf returns the members of a type in JSON, with their types in OpenAPI.
func fieldsOf(t reflect.Type) map[string]string {
	kinds := map[string]string{
		"string": "string", "int": "integer", "uint64": "integer", "bool": "boolean", "time.Time": "string", "[]string": "arraystring", "json.RawMessage": "object",
	}
	fields := map[string]string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, tagged := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && !tagged {
			continue
		}
		kind := kinds[f.Type.String()]
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			kind = "array" + f.Type.Elem().Name()
		}
		if !strings.Contains(options, "omit") {
			kind += " required"
		}
		fields[name] = kind
	}
	return fields
}

var (
	operationRow = regexp.MustCompile("(?m)^\\| `([A-Z]+ /api/[^`]*)` \\| .* \\| (.*)\\|$")
	codeHeading  = regexp.MustCompile("(?m)^### `([a-z_]+)`\n\n([0-9]{3})")
	bodyMember   = regexp.MustCompile("(?:^|, )`([a-z_]+)`")
)

// TestDocsAdminAPI compares the table of operations and the sections of problems in docs/admin-api.md with the code.
func TestDocsAdminAPI(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/admin-api.md")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string][]string{}, map[string][]string{}
	for _, op := range console.Operations() {
		members := []string{}
		if op.Body != nil {
			for member := range fieldsOf(reflect.TypeOf(op.Body)) {
				members = append(members, member)
			}
		}
		slices.Sort(members)
		want[op.Method+" "+op.Path] = members
	}
	for _, row := range operationRow.FindAllSubmatch(page, -1) {
		members := []string{}
		for _, m := range bodyMember.FindAllSubmatch(row[2], -1) {
			members = append(members, string(m[1]))
		}
		slices.Sort(members)
		got[string(row[1])] = members
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations and members of bodies (-code +docs/admin-api.md):\n%s", diff)
	}
	codes := map[string]string{}
	for _, m := range codeHeading.FindAllSubmatch(page, -1) {
		codes[string(m[1])] = string(m[2])
	}
	if diff := cmp.Diff(console.Codes(), codes); diff != "" {
		t.Errorf("codes (-code +docs/admin-api.md):\n%s", diff)
	}
}
