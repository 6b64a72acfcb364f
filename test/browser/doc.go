// Package browser tests in a browser what people see of a running gate: the status page, the console, and pages with the chat widget.
//
// It is a module of its own, so that the packages which drive the browser do not become dependencies of flowlatch.
package browser
