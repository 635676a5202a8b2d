// The official OpenAI SDK for Node through our door; what it saw goes to stdout as JSON.
import OpenAI from "openai";

const { BASE_URL, API_KEY, MODEL: model } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      parameters: { type: "object", properties: { city: { type: "string" } } },
    },
  },
];

const whole = await client.chat.completions.create({ model, messages: user("hello") });

let streamed = "";
let usage = null;
const stream = await client.chat.completions.create({
  model,
  messages: user("hello"),
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}

const messages = user("weather");
const final = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
const said = final.choices[0].message;
const call = said.tool_calls[0];
messages.push(said, { role: "tool", tool_call_id: call.id, content: "rain" });
const after = await client.chat.completions.create({ model, messages, tools });

const errorOf = async (asking) => {
  try {
    await asking;
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status, code: error.code };
  }
};

console.log(
  JSON.stringify({
    whole: whole.choices[0].message.content,
    requestId: whole._request_id,
    streamed,
    usage,
    call: { name: call.function.name, arguments: JSON.parse(call.function.arguments) },
    after: after.choices[0].message.content,
    limited: await errorOf(client.chat.completions.create({ model, messages: user("too often") })),
    missing: await errorOf(
      client.chat.completions.create({ model: "agent:nobody", messages: user("hello") }),
    ),
    models: (await client.models.list()).data.map((each) => each.id),
  }),
);
