package problem

import "net/http"

// Form is the form in which an Error is written.
type Form uint8

// The forms.
const (
	// Document is the problem document, as application/problem+json.
	Document Form = iota
	// PlainJSON is the same document as application/json.
	PlainJSON
	// Sentence is only the member "error" of the document, as plain text.
	Sentence
)

// FormFor returns the form that Flowise's chat widget can show to a visitor, if the request headers look like the
// widget's. Otherwise it returns Document.
//
// If the status is 401, 403 or 429, the widget shows the text of a response to a streamed question as it is. Of other
// responses, it shows the member "error" if the type is application/json, and otherwise the whole text (flowise-embed
// 3.1.6, dist/web.js; 2.1.2 and 3.0.5 do the same). The widget cannot be told from other pages, so the rule goes by what a
// page accepts: only an event stream, or anything. Programs outside of browsers send no Origin, and a page that names a
// JSON type in Accept gets the document.
func FormFor(h http.Header) Form {
	if len(h["Origin"]) == 0 || len(h["Accept"]) != 1 {
		return Document
	}
	switch h["Accept"][0] {
	case "*/*":
		return PlainJSON
	case "text/event-stream":
		return Sentence
	}
	return Document
}
