import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DecisionRing } from "../../../../../src/waypoint/telemetry/decisions/ring.ts";
import { decisionRoutes } from "../../../../../src/waypoint/telemetry/decisions/routes.ts";
import { viewRecord } from "../../../../../src/waypoint/telemetry/decisions/view.ts";
import type { StreamRecord } from "../../../../../src/waypoint/telemetry/record.ts";
import { httpRecord, streamRecord } from "../../../../support/stream-record.ts";

function denied(startWallMs: number): StreamRecord {
  return streamRecord({
    startWallMs,
    details: "rbac_access_denied_matched_policy[ns[shop]-policy[no-delete]-rule[0]]",
    upstream: undefined,
    decisions: [
      {
        filter: "envoy.filters.http.rbac",
        outcome: "denied",
        reason: "policy shop/no-delete rule 0",
      },
    ],
    http: httpRecord({ status: 403 }),
  });
}

describe("the decision ring", () => {
  it("keeps all refusals and a share of what passed, each in its own room", () => {
    const ring = new DecisionRing({ refusals: 3, passed: 2, passedEvery: 10 });
    for (let at = 0; at < 5; at++) ring.add(denied(at));
    for (let at = 10; at < 100; at++) ring.add(streamRecord({ startWallMs: at }));
    assert.deepEqual(
      ring.latest(10).map(({ startWallMs }) => startWallMs),
      [90, 80, 4, 3, 2],
    );
    assert.deepEqual(
      ring.latest(2, true).map(({ startWallMs }) => startWallMs),
      [4, 3],
    );
  });

  it("tells refusals from answers of the application", () => {
    const ring = new DecisionRing({ refusals: 5, passed: 5, passedEvery: 1 });
    ring.add(streamRecord({ http: httpRecord({ status: 500 }) }));
    assert.deepEqual(ring.latest(5, true), []);
    ring.add(streamRecord({ flags: ["UH"], http: httpRecord({ status: 503 }) }));
    assert.equal(ring.latest(5, true).length, 1);
  });

  it("keeps connections that a policy closed, not those whose client went", () => {
    const ring = new DecisionRing({ refusals: 5, passed: 5, passedEvery: 1 });
    const ended = (outcome: string, startWallMs: number): StreamRecord =>
      streamRecord({
        kind: "tcp",
        startWallMs,
        upstream: undefined,
        http: undefined,
        decisions: [{ filter: "envoy.filters.network.rbac", outcome, reason: "" }],
      });
    ring.add(ended("client-gone", 1));
    ring.add(ended("denied", 2));
    assert.deepEqual(
      ring.latest(5, true).map(({ startWallMs }) => startWallMs),
      [2],
    );
    assert.match(viewRecord(ended("denied", 3)).text, /^connection to .* refused by /);
  });

  it("says in words who wanted what and why not", () => {
    const { text, outcome, decisions } = viewRecord(denied(1_795_262_400_000));
    assert.equal(outcome, "refused");
    assert.deepEqual(decisions, ["envoy.filters.http.rbac: denied: policy shop/no-delete rule 0"]);
    assert.equal(
      text,
      "GET reviews.shop/reviews/1?lang=en of shop/web-1 refused with 403 by route default: rbac_access_denied_matched_policy[ns[shop]-policy[no-delete]-rule[0]]; envoy.filters.http.rbac: denied: policy shop/no-delete rule 0",
    );
  });

  it("answers on the admin port", async () => {
    const ring = new DecisionRing();
    ring.add(denied(1));
    ring.add(streamRecord({ startWallMs: 2 }));
    const handler = decisionRoutes(ring)["/debug/decisions"];
    assert.ok(handler);
    const ask = async (query: string) =>
      handler({
        method: "GET",
        path: "/debug/decisions",
        query: new URLSearchParams(query),
        headers: {},
        signal: new AbortController().signal,
        remoteAddress: undefined,
      });
    const all = await ask("n=5");
    assert.equal(JSON.parse(String(all.body)).length, 2);
    assert.equal(JSON.parse(String((await ask("refused")).body)).length, 1);
    assert.match(
      String((await ask("n=1&format=text")).body),
      /\tGET reviews\.shop.* passed with 200/,
    );
    assert.equal((await ask("n=all")).status, 400);
  });
});
