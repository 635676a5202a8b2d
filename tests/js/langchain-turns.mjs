// LangChain: parallel tools, a turn that goes on after thinking, JSON by schema.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { schema } from "./weather.mjs";

const { BASE_URL, API_KEY, MODEL: model } = process.env;
const chat = new ChatOpenAI({
  model,
  apiKey: API_KEY,
  maxRetries: 0,
  configuration: { baseURL: BASE_URL },
});
const parameters = { type: "object", properties: { city: { type: "string" } } };
const tool = { type: "function", function: { name: "weather", description: "of a city", parameters } };

const turn = async (text) => {
  const withTool = chat.bindTools([tool]);
  const asked = [new HumanMessage(text)];
  let said;
  for await (const chunk of await withTool.stream(asked)) {
    said = said ? said.concat(chunk) : chunk;
  }
  const results = said.tool_calls.map(
    (call) => new ToolMessage({ tool_call_id: call.id, content: `rain in ${call.args.city}` }),
  );
  const after = await withTool.invoke([...asked, said, ...results]);
  return [said.tool_calls.map((call) => call.args), after.content];
};

const [parallel, after] = await turn("use the tool, parallel");
const [, thought] = await turn("think, and use the tool");
const json = await chat.withStructuredOutput(schema, { method: "jsonSchema" }).invoke("weather");

console.log(JSON.stringify({ parallel, after, thought, json }));
