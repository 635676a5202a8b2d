// Redocly's recommended rules on the specification at argv[2]; its errors go to stdout as JSON.
import { readFileSync } from "node:fs";
import { createConfig, lintFromString } from "@redocly/openapi-core";

const config = await createConfig({ extends: ["recommended"] });
const problems = await lintFromString({ source: readFileSync(process.argv[2], "utf8"), config });
console.log(JSON.stringify(problems.filter((one) => one.severity === "error").map((one) => one.message)));
