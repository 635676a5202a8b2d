// LangChain's OpenAI client through our door; what it saw goes to stdout as JSON.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";

const { BASE_URL, API_KEY, MODEL: model } = process.env;
const chat = new ChatOpenAI({
  model,
  apiKey: API_KEY,
  maxRetries: 0,
  configuration: { baseURL: BASE_URL },
});

const whole = await chat.invoke("hello");

let streamed = "";
for await (const chunk of await chat.stream("hello")) {
  streamed += chunk.content;
}

const tool = {
  type: "function",
  function: {
    name: "weather",
    description: "the weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
};
const withTool = chat.bindTools([tool]);
const asked = [new HumanMessage("weather")];
const said = await withTool.invoke(asked);
const [call] = said.tool_calls;
const after = await withTool.invoke([
  ...asked,
  said,
  new ToolMessage({ tool_call_id: call.id, content: "rain" }),
]);

let limited = null;
try {
  await chat.invoke("too often");
} catch (error) {
  limited = { name: error.constructor.name, status: error.status };
}

console.log(
  JSON.stringify({
    whole: whole.content,
    tokens: whole.usage_metadata,
    streamed,
    call: { name: call.name, arguments: call.args },
    after: after.content,
    limited,
  }),
);
