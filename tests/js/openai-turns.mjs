// The official OpenAI SDK for Node: parallel tools, a turn that goes on after thinking, JSON by schema.
import OpenAI from "openai";
import { schema } from "./weather.mjs";

const { BASE_URL, API_KEY, MODEL: model } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });

const turn = async (content) => {
  const seen = [];
  const weather = async (given) => {
    seen.push(given);
    return `rain in ${given.city}`;
  };
  const parameters = { type: "object", properties: { city: { type: "string" } } };
  const tool = {
    type: "function",
    function: { name: "weather", parse: JSON.parse, parameters, function: weather },
  };
  const messages = [{ role: "user", content }];
  const runner = client.chat.completions.runTools({ model, messages, tools: [tool], stream: true });
  return [seen, await runner.finalContent()];
};

const [parallel, after] = await turn("use the tool, parallel");
const [, thought] = await turn("think, and use the tool");
const said = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "weather" }],
  response_format: { type: "json_schema", json_schema: { name: "weather", schema, strict: true } },
});

console.log(
  JSON.stringify({ parallel, after, thought, json: JSON.parse(said.choices[0].message.content) }),
);
