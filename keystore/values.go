package keystore

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// scalar reads the value at n, if there is one. The error of read says what is wrong with it.
func scalar[T any](p *parser, n *yaml.Node, name string, read func(string) (T, error)) (value T, ok bool) {
	var none T
	text, ok := p.Text(n, name)
	if !ok {
		return none, false
	}
	value, err := read(text)
	if err != nil {
		p.Fault(n, "%s: %v", name, err)
		return none, false
	}
	return value, true
}

// list reads the values in the list at n, if there is one. No value may be listed twice.
func list[T comparable](p *parser, n *yaml.Node, name string, read func(string) (T, error)) []T {
	if n == nil {
		return nil
	}
	var values []T
	p.Sequence(n, name, func(n *yaml.Node) {
		value, ok := scalar(p, n, name, read)
		switch {
		case !ok:
		case slices.Contains(values, value):
			p.Fault(n, "%s: %s is listed twice", name, strictyaml.Quote(n.Value))
		default:
			values = append(values, value)
		}
	})
	return values
}

// isEmpty reports whether n is missing, or a list without items.
func isEmpty(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.SequenceNode && len(n.Content) == 0
}
