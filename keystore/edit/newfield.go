package edit

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// newField is a field to write. Its value is a word, a text (string), words ([]string), fields ([]newField), or anything
// else, which is written as by fmt.Sprint. A field with a zero value or an empty list is not written.
type newField struct {
	name  string
	value any
}

// word is an ID, a digest or a time. It gets quotes only if it would not be text without them.
type word string

// literal is written as it is.
type literal string

func (f newField) isEmpty() bool {
	v := reflect.ValueOf(f.value)
	return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
}

// write returns fields as the file writes them.
func (e *editor) write(list []newField) (written []string) {
	for _, f := range list {
		if f.isEmpty() {
			continue
		}
		value := fmt.Sprint(f.value)
		switch v := f.value.(type) {
		case word:
			value = e.word(value)
		case string:
			value = e.text(value)
		case []string:
			value = e.list(v)
		case []newField:
			value = "{" + strings.Join(e.write(v), ", ") + "}"
		}
		written = append(written, e.field(f.name, value))
	}
	return written
}

// written returns the value of fields once they are in a file.
func written(list []newField) any {
	inJSON := editor{json: true}
	var doc yaml.Node
	_ = yaml.Unmarshal([]byte("{"+strings.Join(inJSON.write(list), ", ")+"}"), &doc) // JSON is YAML
	return valueOf(&doc)
}
