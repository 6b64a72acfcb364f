// Package browser tests the status page of a running gate in a browser.
//
// It is a module of its own, so that the packages which drive the browser do not become dependencies of flowlatch.
package browser
