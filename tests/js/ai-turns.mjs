// The AI SDK: parallel tools, a turn that goes on after thinking, JSON by schema.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { schema } from "./weather.mjs";

const { BASE_URL, API_KEY, MODEL } = process.env;
const vutler = createOpenAICompatible({
  name: "vutler",
  baseURL: BASE_URL,
  apiKey: API_KEY,
  supportsStructuredOutputs: true,
});
const model = vutler(MODEL);

const turn = async (prompt) => {
  const seen = [];
  const weather = tool({
    description: "the weather of a city",
    inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }),
    execute: async (given) => {
      seen.push(given);
      return `rain in ${given.city}`;
    },
  });
  const tools = { weather };
  const said = streamText({ model, prompt, maxRetries: 0, stopWhen: stepCountIs(3), tools });
  await said.consumeStream();
  return [seen, await said.text];
};

const [parallel, after] = await turn("use the tool, parallel");
const [, thought] = await turn("think, and use the tool");
const { object: json } = await generateObject({
  model,
  maxRetries: 0,
  prompt: "weather",
  schema: jsonSchema(schema),
});

console.log(JSON.stringify({ parallel, after, thought, json }));
