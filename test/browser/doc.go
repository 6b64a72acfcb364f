// Package browser tests the status page of a running gate in a browser.
//
// It is a module of its own, so that what drives the browser is no dependency of flowlatch.
package browser
