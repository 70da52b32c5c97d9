import assert from "node:assert/strict";
import { test } from "node:test";
import { parseObjects, splitDocuments } from "../../../../src/shared/objects/parse.ts";

function parse(text: string, firstLine = 1) {
  const parsed = parseObjects(text, { file: "f.yaml", firstLine });
  if (parsed.kind === "broken") throw new Error(parsed.reason);
  return parsed.objects;
}

function problemsOf(text: string): string[] {
  return parse(text).flatMap((item) =>
    item.kind === "refused"
      ? item.problems.map(({ line, path, reason }) => `${line} ${path}: ${reason}`)
      : [],
  );
}

const policy = (spec: string) =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: shop }\nspec:\n${spec}`;

test("documents are cut at markers in the first column only, and know their line", () => {
  const parts = splitDocuments("---\na: 1\n---\nb: |\n  ---\n  x\n--- # end\nc: 1\n");
  assert.deepEqual(
    parts.map(({ text, firstLine }) => [text.trim(), firstLine]),
    [
      ["a: 1", 2],
      ["b: |\n  ---\n  x", 4],
      ["# end\nc: 1", 7],
    ],
  );
  assert.equal(
    splitDocuments("%YAML 1.2\n---\na: 1\n---\nb: 2\n").length,
    1,
    "directives stay with their document",
  );
});

test("lists hold objects, also JSON, also lists in lists", () => {
  const pod = (name: string) => ({ apiVersion: "v1", kind: "Pod", metadata: { name } });
  const items = parse(
    JSON.stringify({
      kind: "List",
      items: [pod("a"), { kind: "PodList", items: [pod("b"), pod("c")] }],
    }),
  );
  assert.deepEqual(
    items.map((item) => item.kind === "object" && item.object.key),
    ["Pod/default/a", "Pod/default/b", "Pod/default/c"],
  );
});

test("every served version of a kind is accepted, others are listed as unknown", () => {
  for (const version of ["v1", "v1beta1", "v1alpha3"]) {
    const [item] = parse(
      `apiVersion: networking.istio.io/${version}\nkind: ServiceEntry\nmetadata: { name: x }\nspec: { hosts: [a] }`,
    );
    assert.equal(item?.kind, "object", version);
  }
  const [other] = parse(
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: x }\nspec: { replicas: 1 }",
  );
  assert.deepEqual(
    [other?.kind, other?.kind === "skipped" && other.type],
    ["skipped", "Deployment"],
  );
  const [wrong] = parse(
    "apiVersion: security.istio.io/v9\nkind: AuthorizationPolicy\nmetadata: { name: x }",
  );
  assert.equal(wrong?.kind, "skipped");
});

test("two kinds of one name are told apart by their group", () => {
  const [gateway] = parse(
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: x }\nspec: { gatewayClassName: istio }",
  );
  const [old] = parse(
    "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: x }\nspec: { servers: [] }",
  );
  assert.equal(gateway?.kind === "object" && gateway.object.kind, "Gateway");
  assert.equal(old?.kind === "object" && old.object.kind, "IstioGateway");
});

const refusals: readonly [string, string, string][] = [
  [
    "a source that says nothing",
    policy("  action: DENY\n  rules:\n  - from:\n    - source: {}"),
    "8 spec.rules[0].from[0].source: says nothing, and would never match: leave it out to match everything",
  ],
  [
    "an operation that says nothing",
    policy("  action: DENY\n  rules:\n  - to:\n    - operation: { ports: [] }"),
    "8 spec.rules[0].to[0].operation: says nothing, and would never match: leave it out to match everything",
  ],
  [
    "a wildcard in a selector",
    policy("  selector: { matchLabels: { app: a* } }"),
    "5 spec.selector.matchLabels.app: a selector takes no wildcard",
  ],
  [
    "a misspelt field of a rule",
    policy("  rules:\n  - from:\n    - source:\n        principal: [a]"),
    "8 spec.rules[0].from[0].source.principal: unknown field",
  ],
  [
    "a wrong type",
    policy("  action: 7"),
    "5 spec.action: must be one of ALLOW, DENY, AUDIT, CUSTOM, found 7",
  ],
  [
    "a port that is a name",
    policy("  rules:\n  - to:\n    - operation:\n        ports: [http]"),
    '8 spec.rules[0].to[0].operation.ports[0]: "http" is not a port from 0 to 65535',
  ],
  [
    "a prefix that is none",
    policy("  rules:\n  - from:\n    - source:\n        ipBlocks: [10.0.0.0/33]"),
    '8 spec.rules[0].from[0].source.ipBlocks[0]: "10.0.0.0/33" is not an IP address or CIDR',
  ],
  [
    "an unknown attribute",
    policy("  rules:\n  - when:\n    - key: source.nam\n      values: [a]"),
    '7 spec.rules[0].when[0].key: unknown attribute "source.nam"',
  ],
  [
    "a condition without values",
    policy("  rules:\n  - when:\n    - key: source.ip"),
    "7 spec.rules[0].when[0]: needs values or notValues",
  ],
  [
    "a selector beside targets",
    policy("  selector: { matchLabels: { a: b } }\n  targetRefs: [{ kind: Service, name: x }]"),
    "5 spec.selector: cannot stand beside targetRef or targetRefs",
  ],
  [
    "a label that is no text",
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  labels:\n    version: 1\nspec: {}",
    "6 metadata.labels.version: must be a string, found 1",
  ],
  ["no name", "apiVersion: v1\nkind: Pod\nmetadata: {}", "3 metadata.name: is required"],
  ["no kind", "apiVersion: v1\nmetadata: { name: x }", "1 kind: is required"],
  ["no object", "- a", "1 : must be an object with apiVersion, kind and metadata"],
  [
    "port modes without a selector",
    "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: x }\nspec:\n  portLevelMtls:\n    80: { mode: STRICT }",
    "6 spec.portLevelMtls: needs a selector: port modes apply to chosen workloads only",
  ],
];

for (const [name, text, expected] of refusals)
  test(`refused: ${name}`, () => assert.deepEqual(problemsOf(text), [expected]));

test("a broken text says where", () => {
  const parsed = parseObjects("a: 1\nb: [\nc: 2\n", { file: "f", firstLine: 1 });
  assert.ok(parsed.kind === "broken" && parsed.line >= 2);
  const twice = parseObjects("a: 1\na: 2\n", { file: "f", firstLine: 1 });
  assert.ok(twice.kind === "broken" && /unique/i.test(twice.reason));
});

test("an alias bomb is refused", () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) =>
      `a${i}: &a${i} [${Array(9)
        .fill(i === 0 ? "x" : `*a${i - 1}`)
        .join(", ")}]`,
  );
  assert.equal(parseObjects(levels.join("\n"), { file: "f", firstLine: 1 }).kind, "broken");
});

test("an object knows its line even after its document moved", () => {
  const place = { file: "f.yaml", firstLine: 10 };
  const parsed = parseObjects("# x\napiVersion: v1\nkind: Pod\nmetadata: { name: x }", place);
  const item = parsed.kind === "parsed" ? parsed.objects[0] : undefined;
  assert.ok(item?.kind === "object");
  assert.equal(item.object.origin.line, 11);
  place.firstLine = 30;
  assert.equal(item.object.origin.line, 31);
});

test("a mesh configuration is looked into, other ConfigMaps are not", () => {
  const map = (name: string, mesh: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata:\n  mesh: ${JSON.stringify(mesh)}\n`;
  const wrong = "serviceEntryVisibility: { defaultVisibility: EVERYBODY }";
  assert.deepEqual(problemsOf(map("other", wrong)), []);
  assert.deepEqual(problemsOf(map("istio", "defaultConfig: { concurrency: 2 }")), []);
  assert.match(
    problemsOf(map("istio", wrong))[0] ?? "",
    /^5 data\.mesh\.serviceEntryVisibility\.defaultVisibility: must be one of/,
  );
  assert.equal(problemsOf(map("istio", "a: [")).length, 1);
});
