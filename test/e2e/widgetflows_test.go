//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
)

// widgetFlows makes the chatflows that the widget is tried with, and returns their IDs by what they are for.
func (l *lab) widgetFlows(t *testing.T) map[string]string {
	t.Helper()
	f, url := l.flowise, l.llm.url
	config := func(v map[string]any) map[string]any { return map[string]any{"chatbotConfig": asJSON(t, v)} }
	feedback := map[string]any{"status": true}
	files := map[string]any{"status": true, "allowedUploadFileTypes": "text/plain", "pdfFile": map[string]string{"usage": "perPage"}}

	chat := llmNodes(url)
	chat[0].inputs["allowImageUploads"] = true
	chat[0].params = []map[string]any{{"name": "allowImageUploads", "type": "boolean"}}
	flows := map[string]string{
		"chat":  f.chatflow(t, "widget chat", "CHATFLOW", chat, config(map[string]any{"chatFeedback": feedback, "fullFileUpload": files})),
		"whole": l.flows.fnOpen,
		"leads": f.chatflow(t, "widget leads", "CHATFLOW", llmNodes(url), config(map[string]any{
			"leads": map[string]any{"status": true, "title": "Hello", "successMessage": "Thanks", "name": true, "email": true},
		})),
		"rag":    f.chatflow(t, "widget rag", "CHATFLOW", ragNodes(url), ragOverride(t)),
		"speech": f.chatflow(t, "widget speech", "CHATFLOW", llmNodes(url), l.speech(t)),
	}
	if !f.is2() {
		flows["agent"] = f.chatflow(t, "widget agent", "AGENTFLOW", agentNodes(url), nil)
	}
	return flows
}

// speech returns the columns of a chatflow that listens and speaks. Flowise 3.1.4 speaks for public chatflows only.
func (l *lab) speech(t *testing.T) map[string]any {
	t.Helper()
	var credential struct {
		ID string `json:"id"`
	}
	l.flowise.api(t, http.MethodPost, "/credentials", map[string]any{
		"name": "stand-in", "credentialName": "openAIApi", "plainDataObj": map[string]string{"openAIApiKey": "none"},
	}, &credential)
	provider := map[string]any{"status": true, "credentialId": credential.ID, "voice": "alloy"}
	columns := map[string]any{"speechToText": asJSON(t, map[string]any{"openAIWhisper": provider}), "isPublic": true}
	if !l.flowise.is2() {
		columns["textToSpeech"] = asJSON(t, map[string]any{"openai": provider})
	}
	return columns
}

// ragNodes answer by the model alone; files can be put into a vector store beside it.
func ragNodes(url string) []node {
	return append(llmNodes(url),
		node{id: "textFile_0", name: "textFile", category: "Document Loaders", output: "document", inputs: map[string]any{"txtFile": ""}, params: []map[string]any{
			{"name": "txtFile", "label": "Txt File", "type": "file", "fileType": ".txt"},
		}},
		node{id: "ollamaEmbedding_0", name: "ollamaEmbedding", category: "Embeddings", inputs: map[string]any{"baseUrl": url, "modelName": "stand-in"}},
		node{
			id: "memoryVectorStore_0", name: "memoryVectorStore", category: "Vector Stores", after: []string{"textFile_0", "ollamaEmbedding_0"},
			handles: map[string]string{"textFile_0": "memoryVectorStore_0-input-document-Document"},
			inputs:  map[string]any{"document": []string{instance("textFile_0")}, "embeddings": instance("ollamaEmbedding_0"), "topK": "", "fileUpload": true},
		})
}

// ragOverride lets clients put their file in place of the loader's.
func ragOverride(t *testing.T) map[string]any {
	t.Helper()
	return map[string]any{"apiConfig": asJSON(t, map[string]any{"overrideConfig": map[string]any{
		"status": true, "nodes": map[string]any{"textFile": []any{map[string]any{"label": "Txt File", "name": "txtFile", "type": "file", "enabled": true}}},
	}})}
}

// agentNodes are an agentflow of version 2, the only kind that the widget shows a button to stop for.
func agentNodes(url string) []node {
	return []node{
		{id: "startAgentflow_0", name: "startAgentflow", category: "Agent Flows", inputs: map[string]any{"startInputType": "chatInput"}},
		{
			id: "llmAgentflow_0", name: "llmAgentflow", category: "Agent Flows", after: []string{"startAgentflow_0"},
			inputs: map[string]any{
				"llmModel": "chatOllama", "llmMessages": []any{}, "llmEnableMemory": false, "llmReturnResponseAs": "userMessage",
				"llmModelConfig": map[string]any{"modelName": "stand-in", "baseUrl": url, "streaming": true, "llmModel": "chatOllama"},
			},
		},
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
