package strictyaml

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Fields reads mappings into T, a struct whose fields are nodes. In the file a field has its Go name in lower case, or
// the name in its tag, such as `yaml:"not_before"`. It may be used concurrently.
type Fields[T any] struct {
	// Names are the names of the fields, sorted.
	Names []string

	index  map[string][]int // of the fields of T, by name
	others map[string]string
}

// FieldsOf returns the Fields of T. others are names that people write by mistake, each with what to write instead.
func FieldsOf[T any](others map[string]string) Fields[T] {
	f := Fields[T]{index: map[string][]int{}, others: others}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name := field.Tag.Get("yaml")
		if name == "" {
			name = strings.ToLower(field.Name)
		}
		if !field.Anonymous {
			f.index[name] = field.Index
		}
	}
	f.Names = slices.Sorted(maps.Keys(f.index))
	return f
}

// Read returns the fields of the mapping n; those it does not have are nil. ok reports whether n is a mapping. A nil n
// has no fields, and is not a mapping.
func (f Fields[T]) Read(d *Decoder, n *yaml.Node, what string) (fields T, ok bool) {
	if n == nil {
		return fields, false
	}
	all := reflect.ValueOf(&fields).Elem()
	ok = d.Mapping(n, what, f.Names, func(name string, value *yaml.Node) bool {
		index, known := f.index[name]
		if known {
			all.FieldByIndex(index).Set(reflect.ValueOf(value))
		} else if instead, meant := f.others[name]; meant {
			d.Fault(value, "%s has no field %s; write it as `%s`", what, Quote(name), instead)
			return true
		}
		return known
	})
	return fields, ok
}
