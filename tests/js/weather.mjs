// What the clients ask for by schema.
export const schema = {
  title: "weather",
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};
