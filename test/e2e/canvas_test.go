//go:build e2e

package e2e

import "cmp"

// node is a box on Flowise's canvas, with as much of it as Flowise reads when it runs a chatflow.
type node struct {
	id, name, category string
	inputs             map[string]any
	params             []map[string]any  // descriptions of inputs
	after              []string          // the IDs of the nodes it gets its inputs from
	handles            map[string]string // by those IDs, where they are connected; the node itself if there is none
	output             string            // the one that is used, of a node that has several
}

// instance is how an input refers to another node.
func instance(id string) string { return "{{" + id + ".data.instance}}" }

// canvas is the flowData of a chatflow.
func canvas(nodes []node) map[string]any {
	boxes, edges := []any{}, []any{}
	for _, n := range nodes {
		outputs := map[string]string{}
		if n.output != "" {
			outputs["output"] = n.output
		}
		params := []map[string]any{}
		boxes = append(boxes, map[string]any{
			"id": n.id, "type": "customNode",
			"data": map[string]any{
				"id": n.id, "name": n.name, "label": n.name, "category": n.category, "baseClasses": []string{},
				"inputs": n.inputs, "inputParams": append(params, n.params...), "inputAnchors": []any{},
				"outputs": outputs, "outputAnchors": []any{},
			},
		})
		for _, from := range n.after {
			edges = append(edges, map[string]string{
				"id": from + "-" + n.id, "source": from, "sourceHandle": from, "target": n.id, "targetHandle": cmp.Or(n.handles[from], n.id),
			})
		}
	}
	return map[string]any{"nodes": boxes, "edges": edges}
}

func echoNodes() []node {
	return []node{{
		id: "customFunction_0", name: "customFunction", category: "Utilities", output: "EndingNode",
		inputs: map[string]any{
			"functionInputVariables": "", "functionName": "echo", "javascriptFunction": "return 'echo: ' + $input",
		},
	}}
}

func ollama(url string) node {
	return node{
		id: "chatOllama_0", name: "chatOllama", category: "Chat Models",
		inputs: map[string]any{"modelName": "stand-in", "baseUrl": url, "streaming": true, "temperature": 0},
	}
}

func llmNodes(url string) []node {
	return []node{
		ollama(url),
		{id: "bufferMemory_0", name: "bufferMemory", category: "Memory", inputs: map[string]any{"memoryKey": "chat_history"}},
		{
			id: "conversationChain_0", name: "conversationChain", category: "Chains",
			after: []string{"chatOllama_0", "bufferMemory_0"},
			inputs: map[string]any{
				"model": instance("chatOllama_0"), "memory": instance("bufferMemory_0"), "systemMessagePrompt": "Answer.",
			},
		},
	}
}

// twoStepNodes ask the model twice, one after the other. Flowise looks for an abort between two steps.
func twoStepNodes(url string) []node {
	step := func(id, after string) node {
		return node{
			id: id, name: "seqLLMNode", category: "Sequential Agents", after: []string{after},
			inputs: map[string]any{
				"llmNodeName": id, "sequentialNode": []string{instance(after)},
				"conversationHistorySelection": "user_question", "systemMessagePrompt": "Answer.", "humanMessagePrompt": "",
			},
		}
	}
	return []node{
		ollama(url),
		{
			id: "seqStart_0", name: "seqStart", category: "Sequential Agents", after: []string{"chatOllama_0"},
			inputs: map[string]any{"model": instance("chatOllama_0")},
		},
		step("seqLLMNode_0", "seqStart_0"),
		step("seqLLMNode_1", "seqLLMNode_0"),
		{
			id: "seqEnd_0", name: "seqEnd", category: "Sequential Agents", after: []string{"seqLLMNode_1"},
			inputs: map[string]any{"sequentialNode": instance("seqLLMNode_1")},
		},
	}
}
