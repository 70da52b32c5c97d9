import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { test } from "node:test";

/** Who may not import whom, and why. The reason is what a developer reads when the test fails. */
const forbidden: readonly (readonly [from: RegExp, to: RegExp, why: string])[] = [
  [
    /^src\/shared\//,
    /^src\/(ztunnel|waypoint|controlplane|nodeagent|cli)\//,
    "shared code is role-neutral",
  ],
  [/^src\/shared\/base\//, /^src\/(?!shared\/base\/)/, "base is the bottom layer"],
  [
    /^src\/shared\/(net|telemetry|status)\//,
    /^src\/(?!shared\/(base|net|telemetry|status)\/)/,
    "addresses, log lines and status files are for everybody, so they stand on base alone",
  ],
  [
    /^src\/shared\/model\//,
    /^src\/(?!shared\/(base|net|model)\/|shared\/identity\/spiffe\.ts$)/,
    "the model is plain data of the mesh",
  ],
  [
    /^src\/shared\/authz\//,
    /^src\/(?!shared\/(base|net|model|authz)\/|shared\/identity\/spiffe\.ts$)/,
    "policy is decided from the model and the facts of a connection, from nothing else",
  ],
  [
    /^src\/shared\/identity\//,
    /^src\/shared\/(model|authz|xds|hbone|objects|zds)\//,
    "certificates know identities, not workloads",
  ],
  [
    /^src\/shared\/hbone\//,
    /^src\/shared\/(identity|model|authz|xds|grpc|objects|zds|wire)\//,
    "tunnels carry bytes over TLS that was shaken hands on elsewhere",
  ],
  [
    /^src\/shared\/os\//,
    /^src\/(?!shared\/(base|net|os|telemetry)\/)/,
    "system calls know no protocol",
  ],
  [
    /^src\/shared\/objects\//,
    /^src\/shared\/(model|authz|identity|xds|wire|hbone|grpc)\//,
    "objects are what users write; the control plane translates them",
  ],
  [
    /^src\/shared\/xds\//,
    /^src\/shared\/(identity|hbone|os|authz|zds)\//,
    "the client of the control plane is handed its channel and knows no data path",
  ],
  [
    /^src\/shared\/zds\//,
    /^src\/(?!shared\/(base|wire|zds)\/)/,
    "a codec of messages, which both ends of the socket use",
  ],
  [
    /^src\/(?!shared\/(wire|xds|zds|grpc|profile)\/|shared\/identity\/ca-client\.ts$|controlplane\/(push|ca|translate\/waypoint)\/|waypoint\/(compile|xds|filters\/ext-authz)\/|waypoint\/telemetry\/tracing\/otlp\.ts$|controlplane\/offline(-waypoint)?\.ts$)/,
    /^src\/shared\/wire\/gen\//,
    // What a waypoint is told is made of Envoy's messages and of nothing else: translating into them is the edge.
    "generated messages stop at the edge",
  ],
  [
    /^src\/ztunnel\//,
    /^src\/(waypoint|controlplane|nodeagent|cli)\//,
    "roles meet only over the wire",
  ],
  [
    /^src\/waypoint\//,
    /^src\/(ztunnel|controlplane|nodeagent|cli)\//,
    "roles meet only over the wire",
  ],
  [
    /^src\/nodeagent\//,
    /^src\/(ztunnel|waypoint|controlplane|cli)\//,
    "roles meet only over the wire",
  ],
  [
    /^src\/controlplane\//,
    /^src\/(ztunnel|waypoint|nodeagent|cli)\//,
    "roles meet only over the wire",
  ],
];

/** Decisions are functions of plain data: no socket, no file, no clock, no log. They run anywhere, and the same way again. */
const pure: readonly RegExp[] = [
  /^src\/shared\/model\//,
  /^src\/shared\/authz\//,
  /^src\/shared\/net\//,
  /^src\/ztunnel\/proxy\/route[^/]*\.ts$/,
  /^src\/nodeagent\/redirect\/rules\.ts$/,
  /^src\/controlplane\/translate\//,
];

const root = resolve(import.meta.dirname, "../..");
const files = readdirSync(resolve(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => `src/${name}`);

/** Relative imports by the path they lead to, all others (`node:net`, `yaml`) by name. */
const edges = files.flatMap((file) => {
  const text = readFileSync(resolve(root, file), "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"\s]+)"/g)].map(([, to = ""]) => {
    const target = to.startsWith(".") ? relative(root, resolve(root, dirname(file), to)) : to;
    return [file, target] as const;
  });
});

// A boundary check that scans nothing passes everything, so the scan itself is asserted first.
test("the scan sees the code base", () => {
  assert.ok(files.length >= 200, `only ${files.length} source files found`);
  assert.ok(edges.length >= 500, `only ${edges.length} import edges found`);
});

for (const [from, to, why] of forbidden) {
  test(`${from.source} imports nothing from ${to.source}: ${why}`, () => {
    assert.deepEqual(
      edges.filter(([source, target]) => from.test(source) && to.test(target)),
      [],
    );
  });
}

for (const folder of pure) {
  test(`${folder.source} is pure: no module of Node, no clock, no log`, () => {
    assert.ok(
      files.some((file) => folder.test(file)),
      "nothing is there to be checked",
    );
    assert.deepEqual(
      edges.filter(
        ([source, target]) =>
          folder.test(source) &&
          /^(node:|src\/shared\/(base\/clock|os\/|telemetry\/|grpc\/))/.test(target),
      ),
      [],
    );
  });
}
