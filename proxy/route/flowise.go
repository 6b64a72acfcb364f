package route

import (
	"net/http"
	"regexp"
)

// segment matches values that Flowise puts into a path of its file storage. Version 2.2.8 joins chatId into the path
// unchecked (packages/components/src/storageUtils.ts, streamStorageFile), so a chatId with ../ would lead to the files of
// another chatflow.
var segment = regexp.MustCompile(`^(?:[A-Za-z0-9_~-]|\.[A-Za-z0-9_~-])[A-Za-z0-9._~-]{0,127}$`)

// fileName matches names of files: no separators, control characters or leading dots, and nothing that sanitize-html,
// which Flowise runs over every query, would change.
var fileName = regexp.MustCompile(`^[^./\\<>&"'\x00-\x1f\x7f][^/\\<>&"'\x00-\x1f\x7f]{0,254}$`)

// Flowise returns what is known of Flowise 2.2 to 3.1. Its user interface and the rest of its API are in no group:
// operators reach them on Flowise's own port.
//
// Where each route has its chatflow ID follows Flowise's controllers (packages/server/src/controllers at 3.1.4): the
// ID that is authorized must be the one that Flowise uses.
func Flowise() *Preset {
	const (
		get    = http.MethodGet
		post   = http.MethodPost
		put    = http.MethodPut
		del    = http.MethodDelete
		v1     = "/api/v1/"
		inPath = "{chatflow}"
	)
	// Flowise copies the bodies of feedback and leads into a row of its database unchanged, so a member "id" would
	// overwrite the row of another chatflow (services/feedback/index.ts, services/leads/index.ts at 2.2.8).
	rowID := []string{"id"}
	// With these members, an update of feedback would move it to another message, perhaps of another chatflow. Flowise
	// checks that they agree with each other, but not with the row (services/feedback/validation.ts at 2.2.8 and 3.1.4).
	rowAndMessage := []string{"id", "chatflowid", "chatId", "messageId"}
	routes := []*Route{
		{Group: "predict", Name: "prediction", Methods: []string{post}, Path: "prediction/" + inPath, Message: true, Abort: flowiseAbort},
		{Group: "predict", Name: "chatflows-streaming", Methods: []string{get}, Path: "chatflows-streaming/" + inPath, Discovery: true},
		{Group: "predict", Name: "chatflows-uploads", Methods: []string{get}, Path: "chatflows-uploads/" + inPath},
		{Group: "predict", Name: "abort", Methods: []string{put}, Path: "chatmessage/abort/" + inPath + "/{chatId}", AbortsOther: true},
		{Group: "predict", Name: "attachments", Methods: []string{post}, Path: "attachments/" + inPath + "/{chatId}", Upload: true},
		{Group: "predict", Name: "get-upload-file", Methods: []string{get}, Path: "get-upload-file", Query: []Param{
			{Name: "chatflowId", Chatflow: true},
			{Name: "chatId", Pattern: segment},
			{Name: "fileName", Pattern: fileName},
			{Name: "download", Pattern: regexp.MustCompile(`^(true|false)$`)},
		}},
		{Group: "predict", Name: "ping", Methods: []string{get}, Path: "ping", Access: Public},

		{Group: "widget", Name: "public-chatbotConfig", Methods: []string{get}, Path: "public-chatbotConfig/" + inPath},
		{Group: "widget", Name: "feedback", Methods: []string{post}, Path: "feedback/" + inPath, Body: "chatflowid", Refuse: rowID, Creates: "id"},
		{Group: "widget", Name: "feedback-update", Methods: []string{put}, Path: "feedback/{id}", Access: AnyKey, Created: "id", Refuse: rowAndMessage},
		{Group: "widget", Name: "leads", Methods: []string{post}, Path: "leads", Alternatives: []string{"leads/"}, Body: "chatflowid", Refuse: rowID},
		{Group: "widget", Name: "text-to-speech", Methods: []string{post}, Path: "text-to-speech/generate", Body: "chatflowId", UpstreamNeeds: "the chatflow to be public in Flowise (3.1.4)"},
		{Group: "widget", Name: "text-to-speech-abort", Methods: []string{post}, Path: "text-to-speech/abort", Body: "chatflowId", AbortsOther: true},
		{Group: "widget", Name: "node-icon", Methods: []string{get}, Path: "node-icon/{name}", Access: Public},

		{Group: "upsert", Name: "vector-upsert", Methods: []string{post}, Path: "vector/upsert/" + inPath, UpstreamKey: "an API key of Flowise (3.0.13 and newer)"},
		{Group: "mcp", Name: "mcp", Methods: []string{post, del}, Path: "mcp/" + inPath, UpstreamKey: "the token that Flowise shows for the chatflow's MCP server"},
		{Group: "webhook", Name: "webhook", Methods: []string{"*"}, Path: "webhook/" + inPath, AnyQuery: true, UpstreamNeeds: "the signature that the chatflow's start node asks for, from the client"},
	}
	for _, r := range routes {
		r.Path = v1 + r.Path
		for i := range r.Alternatives {
			r.Alternatives[i] = v1 + r.Alternatives[i]
		}
	}
	return &Preset{
		Name: "flowise", Runner: "Flowise", Routes: routes,
		IDs:              "lower-case UUIDs",
		Expose:           []string{"predict"},
		Upstream:         "http://127.0.0.1:3000",
		CredentialHeader: "Authorization",
		UpstreamKey:      "the key that the chatflow still has in Flowise",
		// From middlewares/errors/index.ts, and at 3.1.4 utils/SSEStreamer.ts, with the errors that services/predictions
		// and services/vectors throw.
		KeyErrors: []string{
			`"message":"Error: predictionsServices.buildChatflow - Unauthorized"`, `"message":"Error: vectorsService.upsertVector - Unauthorized"`,
			`{"event":"error","data":"Error: predictionsServices.buildChatflow - Unauthorized"`,
		},
		OtherForbidden: "the chatflow's allowed domains in Flowise lack the page that sent it",
		Headers:        []string{"X-Request-From", "Flowise-Tool", "X-Flowise-Evaluation"}, // switches meant for Flowise's own user interface and internal calls
		Widget:         true,
		FlowiseKeys:    true,
	}
}
