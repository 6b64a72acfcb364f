// Package browser tests the page of the admin listener as a person sees it: a gate that runs, in a browser.
//
// It is a module of its own, so that what drives the browser is no dependency of flowlatch.
package browser
