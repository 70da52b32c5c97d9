import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { variables } from "../../../src/ztunnel/variables.ts";

const page = resolve(import.meta.dirname, "../../../docs/settings.md");

function durationText(ms: number): string {
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const)
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}

function defaultText(key: string, value: unknown): string {
  if (value === undefined) return "not set";
  if (value === "") return "empty";
  if (typeof value === "object") return "automatic";
  return `\`${key.endsWith("Ms") ? durationText(Number(value)) : String(value)}\``;
}

function render(): string {
  const rows = Object.entries(variables).map(([key, { names, fallback, reason }]) => {
    const name = names.map((each) => `\`${each}\``).join(", then ");
    return `| ${name} | ${defaultText(key, fallback)} | ${reason} |`;
  });
  return `# Settings of the ztunnel

Everything comes from the environment, under the reference's names and defaults; names that begin with \`AMBIT_\` are ours.
Booleans are \`true\` or \`false\`, durations look like \`30s\` or \`5m\`. A wrong value stops the start, and all of them are
named at once. This page is written from the table in \`src/ztunnel/variables.ts\` (\`UPDATE=1 node --test
test/unit/ztunnel/settings-page.test.ts\`).

| Variable | Default | What it does |
|---|---|---|
${rows.join("\n")}

By prefix: \`XDS_HEADER_<name>\` and \`CA_HEADER_<name>\` add headers to the calls to the control plane,
\`ISTIO_META_<key>\` and \`ISTIO_METAJSON_<key>\` metadata to the node (\`ISTIO_META_DNS_CAPTURE=false\` switches the DNS proxy
off, \`ISTIO_META_DNS_PROXY_ADDR\` moves its port). \`./etc/istio/config/mesh\` may hold Istio's mesh configuration; of its
\`defaultConfig\` these are used, and \`PROXY_CONFIG\` overrides them: \`discoveryAddress\`, \`proxyAdminPort\`, \`statsPort\`,
\`concurrency\`, \`proxyMetadata\`.

The settings of the waypoint stand in [waypoint](waypoint.md#settings).
`;
}

test("docs/settings.md lists every variable as it is", () => {
  const text = render();
  if (process.env["UPDATE"] === "1") writeFileSync(page, text);
  assert.equal(readFileSync(page, "utf8"), text);
});
