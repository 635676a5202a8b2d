// The AI SDK's OpenAI-compatible provider through our door; what it saw goes to stdout as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const { BASE_URL, API_KEY, MODEL } = process.env;
const vutler = createOpenAICompatible({
  name: "vutler",
  baseURL: BASE_URL,
  apiKey: API_KEY,
  includeUsage: true,
});
const model = vutler(MODEL);

const whole = await generateText({ model, prompt: "hello", maxRetries: 0 });

const stream = streamText({ model, prompt: "hello", maxRetries: 0 });
let streamed = "";
for await (const text of stream.textStream) {
  streamed += text;
}

const calls = [];
const after = await generateText({
  model,
  prompt: "weather",
  maxRetries: 0,
  stopWhen: stepCountIs(3),
  tools: {
    weather: tool({
      description: "the weather of a city",
      inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }),
      execute: async (given) => {
        calls.push(given);
        return "rain";
      },
    }),
  },
});

let limited = null;
try {
  await generateText({ model, prompt: "too often", maxRetries: 0 });
} catch (error) {
  limited = { name: error.name, status: error.statusCode };
}

console.log(
  JSON.stringify({
    whole: whole.text,
    streamed,
    usage: await stream.usage,
    call: { name: "weather", arguments: calls[0] },
    after: after.text,
    limited,
  }),
);
