// A client with the types that openapi-typescript makes of the specification; what it saw goes to stdout as JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.js";

declare const process: { env: Record<string, string> };
const { BASE_URL, API_KEY, MODEL: agent_id } = process.env;
const client = createClient<paths>({ baseUrl: BASE_URL, headers: { Authorization: `Bearer ${API_KEY}` } });

function answered<T>({ data, error }: { data?: T; error?: unknown }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

const path = { agent_id };
const job: components["schemas"]["ChatJob"] = answered(
  await client.POST("/api/v1/agents/{agent_id}/chat", {
    params: { path, header: { Prefer: "wait=30" } },
    body: { message: "hello" },
  }),
);

const before = answered(await client.GET("/api/v1/agents/{agent_id}", { params: { path } }));
const after = answered(
  await client.PATCH("/api/v1/agents/{agent_id}", { params: { path }, body: { description: "newer" } }),
);

const page = answered(await client.GET("/api/v1/jobs", { params: { query: { limit: 1, kind: "chat" } } }));
const newest = page.items[0];
const said = newest.kind === "chat" ? newest.result?.message?.content : null; // `kind` tells the shape of the result

const missing = await client.GET("/api/v1/agents/{agent_id}", { params: { path: { agent_id: "none" } } });

console.log(
  JSON.stringify({
    status: job.status,
    content: job.result?.message?.content,
    before,
    after,
    jobs: page.items.map((one) => one.id),
    cursor: page.next_cursor,
    said,
    job: job.id,
    missing: missing.error?.code,
  }),
);
