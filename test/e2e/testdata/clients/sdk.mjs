// Asks a question by Flowise's TypeScript SDK: sdk.mjs DIRECTORY URL CHATFLOW KEY QUESTION STREAMING
import { createRequire } from 'node:module'

const [, , directory, baseUrl, chatflowId, apiKey, question, streaming] = process.argv
const { FlowiseClient } = createRequire(directory + '/')(directory)
const client = new FlowiseClient({ baseUrl, apiKey })
const response = await client.createPrediction({ chatflowId, question, streaming: streaming === 'true' })
if (streaming === 'true') {
  let text = ''
  for await (const chunk of response) if (chunk.event === 'token') text += chunk.data
  console.log(text)
} else {
  console.log(response.text ?? JSON.stringify(response))
}
