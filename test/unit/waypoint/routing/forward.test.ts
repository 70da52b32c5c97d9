/** What the contract test with Envoy does not reach: weights, hashes, times, identities. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compileHeaderFormat } from "../../../../src/waypoint/compile/format.ts";
import { CompileError } from "../../../../src/waypoint/compile/notes.ts";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import type { ClusterChoice, HashPolicy } from "../../../../src/waypoint/model/route.ts";
import { formatHeader } from "../../../../src/waypoint/routing/format.ts";
import { chooseCluster } from "../../../../src/waypoint/routing/forward.ts";
import { hashRequest } from "../../../../src/waypoint/routing/hash.ts";
import { noMutations } from "../../../../src/waypoint/routing/headers.ts";
import { xxHash64 } from "../../../../src/waypoint/routing/xxhash64.ts";
import { downstream, formatFacts, head } from "../../../support/waypoint/routes.ts";

function weighted(...weights: number[]): ClusterChoice {
  const clusters = weights.map((weight, index) => ({
    cluster: `c${index}`,
    clusterHeader: undefined,
    weight,
    requestHeaders: noMutations,
    responseHeaders: noMutations,
    hostRewrite: undefined,
  }));
  return { kind: "weighted", total: weights.reduce((sum, one) => sum + one, 0), clusters };
}

test("weights share the draws exactly", () => {
  const counts = new Map<string, number>();
  for (let draw = 0; draw < 100; draw++) {
    const { cluster } = chooseCluster(weighted(90, 0, 10), head("/"), draw / 100);
    counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
  }
  assert.deepEqual(
    [...counts],
    [
      ["c0", 90],
      ["c2", 10],
    ],
  );
});

test("a cluster named by a header", () => {
  const choice: ClusterChoice = { kind: "header", header: "x-cluster" };
  const request = head("/", { fields: new Fields(["x-cluster", "blue"]) });
  assert.equal(chooseCluster(choice, request, 0).cluster, "blue");
  assert.equal(chooseCluster(choice, head("/"), 0).cluster, "");
});

describe("header formats", () => {
  const request = head("/p?q=1", { fields: new Fields(["x-long", "abcdef"]) });
  const facts = formatFacts(request, {
    metadata: new Map([["ns", { claim: "value", deep: { list: [1, "a"] } }]]),
    upstream: { cluster: "outbound|80||x", hostText: "10.0.0.9:80", localAddress: undefined },
  });
  for (const [source, expected] of [
    ["a%%b", "a%b"],
    ["%REQ(X-LONG):3%", "abc"],
    ["%REQ(x-none?:path)%", "/p?q=1"],
    ["%REQ_WITHOUT_QUERY(:path)%", "/p"],
    ["%START_TIME%", "2026-11-21T12:34:56.789Z"],
    ["%START_TIME(%Y/%m/%dT%H:%M:%S%z %s %3f)%", "2026/11/21T12:34:56+0000 1795264496 789"],
    ["%DOWNSTREAM_REMOTE_ADDRESS%", "10.10.1.5:40000"],
    ["%DOWNSTREAM_LOCAL_PORT%", "80"],
    [
      "By=%FILTER_STATE(io.istio.local_principal:PLAIN)%",
      "By=spiffe://cluster.local/ns/shop/sa/waypoint",
    ],
    ["%FILTER_STATE(io.istio.peer_principal:PLAIN)%", "spiffe://cluster.local/ns/shop/sa/web"],
    ["%DYNAMIC_METADATA(ns:claim)%", "value"],
    ["%DYNAMIC_METADATA(ns:deep:list)%", '[1,"a"]'],
    ["%DYNAMIC_METADATA(ns:none)%", ""],
    ["%UPSTREAM_CLUSTER% %UPSTREAM_HOST%%UPSTREAM_LOCAL_ADDRESS%", "outbound|80||x 10.0.0.9:80"],
    ["%RESPONSE_CODE%%RESP(x)%", ""],
  ] as const)
    test(source, () =>
      assert.equal(formatHeader(compileHeaderFormat(source, "value"), facts), expected),
    );

  for (const source of [
    "%",
    "50%",
    "%UNKNOWN%",
    "%REQ()%",
    "%PROTOCOL(x)%",
    "%START_TIME(%Q)%",
    "%FILTER_STATE(some.key:PLAIN)%",
    "%FILTER_STATE(io.istio.peer_principal:TYPED)%",
  ])
    test(`${source} is refused`, () =>
      assert.throws(
        () => compileHeaderFormat(source, "routes[3].value"),
        (thrown: Error) => thrown instanceof CompileError && thrown.path === "routes[3].value",
      ));
});

describe("hash policies", () => {
  const hash = (policies: readonly HashPolicy[], request = head("/?u=7")) =>
    hashRequest(policies, request, downstream);
  const user: HashPolicy = { kind: "header", name: "x-user", terminal: false };
  const source: HashPolicy = { kind: "source-ip", terminal: false };
  const cookie: HashPolicy = {
    kind: "cookie",
    name: "session",
    ttlMs: 3_600_000,
    path: "/shop",
    attributes: [
      ["SameSite", "Lax"],
      ["Secure", ""],
    ],
    terminal: false,
  };

  test("header, query and source", () => {
    const request = head("/", { fields: new Fields(["x-user", "jason"]) });
    assert.equal(hash([user], request).hash, xxHash64("jason"));
    assert.equal(hash([{ kind: "query", name: "u", terminal: false }]).hash, xxHash64("7"));
    assert.equal(hash([source]).hash, xxHash64("10.10.1.5"));
    assert.equal(hash([user]).hash, undefined);
    assert.equal(hash([]).hash, undefined);
  });

  test("several fields in any order give one hash", () => {
    const two = (a: string, b: string) =>
      head("/", { fields: new Fields(["x-user", a, "x-user", b]) });
    assert.equal(hash([user], two("a", "b")).hash, hash([user], two("b", "a")).hash);
    assert.equal(hash([user], two("a", "b")).hash, xxHash64("b", xxHash64("a")));
  });

  test("policies are combined, a terminal one ends", () => {
    const request = head("/", { fields: new Fields(["x-user", "jason"]) });
    const first = xxHash64("jason");
    const rotated = BigInt.asUintN(64, first << 1n) | (first >> 63n);
    assert.equal(hash([user, source], request).hash, rotated ^ xxHash64("10.10.1.5"));
    assert.equal(hash([{ ...user, terminal: true }, source], request).hash, first);
  });

  test("a cookie is read, or made once per connection", () => {
    const request = head("/", { fields: new Fields(["cookie", 'a=b; session="tok"']) });
    assert.deepEqual(hash([cookie], request), { hash: xxHash64("tok"), setCookies: [] });
    const made = hash([cookie]);
    assert.match(
      made.setCookies[0] ?? "",
      /^session="[0-9a-f]{16}"; Max-Age=3600; Path=\/shop; SameSite=Lax; Secure; HttpOnly$/,
    );
    assert.deepEqual(hash([cookie]), made);
    assert.deepEqual(hash([{ ...cookie, ttlMs: undefined }]), { hash: undefined, setCookies: [] });
  });
});
