/** Offline answers over the golden inputs: every l4-authz case asked from inside, from outside, and past the policy. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { WhyQuestionError } from "../../../../src/ztunnel/why/find.ts";
import type { WhyVerdict } from "../../../../src/ztunnel/why/record.ts";
import { askWhy, goldenRoot } from "./ask.ts";

type Row = readonly [from: string, to: string, verdict: WhyVerdict, because: RegExp];

const noAllow = /^no allow policies, allow$/;
const noneAllowed = /^allow policies exist, but none allowed$/;

const cases: Readonly<Record<string, readonly Row[]>> = {
  "l4-authz-allow-all": [
    ["web-1", "reviews:80", "allowed", /^allowed by: shop\/allow-all \(rule 0\)$/],
    ["old-1", "shop/reviews:80", "allowed", /^allowed by: shop\/allow-all/],
    ["web-1", "old.legacy:8000", "allowed", /not in the mesh/],
  ],
  "l4-authz-allow-principals": [
    ["web-1", "reviews:80", "allowed", /^allowed by: shop\/reviews-from-web \(rule 0\)$/],
    ["ratings-v1", "reviews:80", "denied", noneAllowed],
    ["old-1", "shop/reviews:80", "denied", noneAllowed],
    ["web-1", "10.10.1.11:8081", "denied", noneAllowed],
    ["old-1", "shop/db:5432", "allowed", noAllow],
  ],
  "l4-authz-custom-audit": [
    ["web-1", "reviews:80", "allowed", noAllow],
    ["old-1", "shop/reviews:80", "allowed", noAllow],
  ],
  "l4-authz-deny-all": [
    ["web-1", "reviews:80", "denied", noneAllowed],
    ["web-1", "db:5432", "denied", noneAllowed],
    ["old-1", "shop/db:5432", "denied", noneAllowed],
    ["web-1", "old.legacy:8000", "allowed", /not in the mesh/],
  ],
  "l4-authz-deny-namespace-port": [
    ["web-1", "db:5432", "allowed", noAllow],
    [
      "legacy/old-1",
      "shop/db:5432",
      "denied",
      /^explicitly denied by: shop\/no-legacy-db \(rule 0\)$/,
    ],
    ["legacy/old-1", "10.10.2.13:5432", "allowed", noAllow],
    ["192.0.2.7", "10.10.2.13:5433", "denied", /^explicitly denied by: shop\/no-legacy-db/],
  ],
  "l4-authz-dry-run": [["old-1", "shop/reviews:80", "allowed", noAllow]],
  "l4-authz-l7-without-waypoint-allow": [
    ["web-1", "reviews:80", "allowed", /^allowed by: shop\/l7-allow \(rule 0\)$/],
    ["ratings-v1", "reviews:80", "denied", noneAllowed],
  ],
  "l4-authz-root-namespace": [
    ["web-1", "reviews:80", "allowed", noAllow],
    ["old-1", "shop/reviews:80", "denied", /^explicitly denied by: istio-system\/no-outsiders/],
  ],
  "l4-authz-service-accounts": [
    ["web-1", "reviews:80", "allowed", /^allowed by: shop\/by-sa \(rule 0\)$/],
    ["db-0", "reviews:80", "denied", noneAllowed],
    ["old-1", "shop/reviews:80", "denied", noneAllowed],
  ],
  "l4-authz-targets-waypoint": [
    [
      "web-1",
      "reviews:80",
      "allowed",
      /only-through-waypoint \(rule 0\), if the waypoint shop\/waypoint-0 lets it pass$/,
    ],
    ["web-1", "10.10.1.11:8080", "denied", noneAllowed],
  ],
};

test("every l4-authz case is asked", () => {
  const present = readdirSync(goldenRoot).filter((name) => name.startsWith("l4-authz-"));
  assert.deepEqual(Object.keys(cases).sort(), present.sort());
});

for (const [of, rows] of Object.entries(cases)) {
  describe(of, () => {
    for (const [from, to, verdict, because] of rows)
      test(`${from} to ${to}: ${verdict}`, () => {
        const record = askWhy({ of, from, to });
        assert.equal(record.verdict, verdict, record.text.join("\n"));
        assert.match(record.because, because);
      });
  });
}

describe("waypoints and names", () => {
  const rows: readonly (readonly [string, ...Row])[] = [
    [
      "l4-service-entry-external",
      "web-1",
      "api.example.com:443",
      "allowed",
      /api-ext is not in the mesh/,
    ],
    [
      "l7-egress-service-entry",
      "web-1",
      "api.example.com:443",
      "allowed",
      /not in the mesh.*if the waypoint shop\/waypoint-0 lets it pass$/,
    ],
    [
      "l7-session-affinity-headless",
      "web-1",
      "empty:80",
      "undecided",
      /^the waypoint has no endpoint for .*, unless its routes send it elsewhere$/,
    ],
    ["l4-waypoint-workload", "web-1", "10.10.1.11:8080", "allowed", /if the waypoint/],
    [
      "l4-waypoint-workload",
      "waypoint-0",
      "10.10.1.11:8080",
      "allowed",
      /^no allow policies, allow$/,
    ],
  ];
  for (const [of, from, to, verdict, because] of rows)
    test(`${of}: ${from} to ${to}: ${verdict}`, () => {
      const record = askWhy({ of, from, to });
      assert.equal(record.verdict, verdict, record.text.join("\n"));
      assert.match(record.because, because);
    });
});

describe("questions that have no path", () => {
  const of = "l4-base";
  const rows: readonly Row[] = [
    ["web-1", "example.com:443", "undecided", /does not know the name example\.com/],
    ["web-1", "192.0.2.1:443", "allowed", /leaves the mesh/],
    ["192.0.2.7", "192.0.2.1:443", "undecided", /neither end is in the mesh/],
    ["web-1", "reviews:81", "unreachable", /^no healthy upstream: 10\.96\.1\.1:81$/],
    ["web-1", "shop/nothing:80", "unreachable", /neither a service nor a pod/],
    ["web-1", "web-1:80", "allowed", /own address is not captured/],
    ["web-1", "10.10.1.11:15008", "unreachable", /http status: 503 \(attempted recursive call/],
    ["web-1", "127.0.0.1:15001", "unreachable", /attempted recursive call to ourselves/],
    ["169.254.7.127", "10.10.1.11:8080", "allowed", /health probes/],
  ];
  for (const [from, to, verdict, because] of rows)
    test(`${from} to ${to}: ${verdict}`, () => {
      const record = askWhy({ of, from, to });
      assert.equal(record.verdict, verdict, record.text.join("\n"));
      assert.match(record.because, because);
    });

  const unreadable: readonly (readonly [string, string, RegExp])[] = [
    ["nobody", "reviews:80", /Cannot find the source "nobody"/],
    ["web-1", "reviews", /Cannot read the destination "reviews"/],
    ["web-1", "reviews:99999", /Cannot read the destination/],
    ["web-1", ":80", /Cannot read the destination/],
  ];
  for (const [from, to, message] of unreadable)
    test(`${from} to ${to} is no question`, () => {
      assert.throws(
        () => askWhy({ of, from, to }),
        (thrown) => thrown instanceof WhyQuestionError && message.test(thrown.message),
      );
    });
});
