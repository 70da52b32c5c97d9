import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { DeltaDiscoveryResponseSchema } from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { offlineWaypoint } from "../../../../src/waypoint/compile/offline.ts";
import type { WaypointQuestion, WaypointWhy } from "../../../../src/waypoint/why/record.ts";
import { waypointWhyRoutes } from "../../../../src/waypoint/why/routes.ts";
import { explainAtWaypoint, WaypointQuestionError } from "../../../../src/waypoint/why.ts";
import { FakeClock } from "../../../support/clock.ts";

function recorded(golden: string, type: string): Uint8Array[] {
  const bytes = readFileSync(`test/golden/${golden}/waypoint/${type}.binpb`);
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return resources.map(({ resource }) => resource?.value ?? new Uint8Array());
}

function waypoint(golden: string) {
  return offlineWaypoint(
    {
      listeners: recorded(golden, "Listener"),
      clusters: recorded(golden, "Cluster"),
      assignments: recorded(golden, "ClusterLoadAssignment"),
    },
    new FakeClock(),
    "spiffe://cluster.local/ns/shop/sa/waypoint",
  );
}

const REVIEWS = "10.96.1.1:80";

interface Ask {
  readonly to?: string;
  readonly method?: string;
  readonly path?: string;
  readonly identity?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly tcp?: boolean;
}

async function ask(golden: string, over: Ask = {}): Promise<WaypointWhy> {
  const { state, refused, close } = waypoint(golden);
  assert.deepEqual(refused, []);
  const question: WaypointQuestion = {
    to: over.to ?? REVIEWS,
    from: "10.10.1.10",
    identity: over.identity ?? "spiffe://cluster.local/ns/shop/sa/web",
    request:
      over.tcp === true
        ? undefined
        : {
            method: over.method ?? "GET",
            path: over.path ?? "/",
            host: "reviews.shop",
            headers: over.headers ?? [],
          },
  };
  const record = await explainAtWaypoint(state, question);
  close();
  return record;
}

describe("why, at a waypoint, from recorded resources", () => {
  it("lets an ordinary request pass to the service's endpoints", async () => {
    const record = await ask("l7-base");
    assert.equal(record.verdict, "allowed");
    assert.equal(record.chain, "inbound-vip|80|http|reviews.shop.svc.cluster.local");
    const [outcome] = record.outcomes;
    assert.equal(record.outcomes.length, 1);
    assert.equal(outcome?.cluster, "inbound-vip|80|http|reviews.shop.svc.cluster.local");
    assert.deepEqual(outcome?.endpoints?.map(({ address }) => address).toSorted(), [
      "10.10.1.11:8080",
      "10.10.2.11:8080",
    ]);
    assert.ok(record.text.some((line) => line.startsWith("so       allowed: route ")));
  });

  it("says which policy denies", async () => {
    const record = await ask("l7-authz-deny-all-at-waypoint");
    assert.equal(record.verdict, "denied");
    assert.equal(record.outcomes[0]?.status, 403);
    assert.match(record.because, /envoy\.filters\.http\.rbac: .*the answer is 403$/);
  });

  it("tells the shares of a canary", async () => {
    const record = await ask("l7-vs-canary");
    const shares = record.outcomes.map(({ share, cluster }) => [cluster, share] as const);
    assert.ok(shares.length >= 2, JSON.stringify(shares));
    assert.equal(Math.round(shares.reduce((sum, [, share]) => sum + share, 0) * 100), 100);
    assert.ok(record.text.some((line) => /so {7}allowed \(about \d+ %\)/.test(line)));
  });

  it("tells what chance does with faults", async () => {
    const to = "10.96.1.2:9080";
    const half = await ask("l7-vs-fault", { to, headers: [["x-test", "abort"]] });
    assert.equal(half.verdict, "mixed");
    assert.deepEqual(
      half.outcomes.map(({ verdict, status, flags, share }) => [verdict, status, flags, share]),
      [
        ["answered", 503, "FI", 0.5],
        ["allowed", null, "-", 0.5],
      ],
    );
    const delayed = await ask("l7-vs-fault", { to });
    assert.equal(delayed.verdict, "allowed");
    assert.deepEqual(
      delayed.outcomes.map(({ flags, share }) => [flags, share]),
      [
        ["-", 0.875],
        ["DI", 0.125],
      ],
    );
    assert.match(delayed.outcomes[1]?.decisions.join() ?? "", /delayed: by 2000 ms/);
    assert.match(delayed.outcomes[0]?.route?.passedOver.join() ?? "", /needs header x-test/);
  });

  it("has nothing at an address that nobody has", async () => {
    const record = await ask("l7-base", { to: "10.96.9.9:80" });
    assert.equal(record.verdict, "unreachable");
    assert.equal(record.chain, null);
    assert.match(record.because, /no chain takes connections to 10\.96\.9\.9:80/);
  });

  it("follows connections of other protocols", async () => {
    const record = await ask("l7-base", { to: "10.96.1.3:5432", tcp: true });
    assert.equal(record.verdict, "allowed");
    assert.match(record.outcomes[0]?.cluster ?? "", /\|5432\|tcp\|db\.shop/);
    const denied = await ask("l7-authz-tcp", {
      to: "10.96.1.3:5432",
      tcp: true,
      identity: "spiffe://cluster.local/ns/other/sa/stranger",
    });
    assert.equal(denied.verdict, "denied");
  });

  it("cannot answer what it cannot read", async () => {
    await assert.rejects(ask("l7-base", { to: "nonsense" }), WaypointQuestionError);
  });

  it("answers on the admin port, in words as well", async () => {
    const { state, close } = waypoint("l7-base");
    const handler = waypointWhyRoutes(() => state)["/debug/why"];
    assert.ok(handler);
    const get = async (query: string) =>
      handler({
        method: "GET",
        path: "/debug/why",
        query: new URLSearchParams(query),
        headers: {},
        signal: new AbortController().signal,
        remoteAddress: undefined,
      });
    const json = await get(`to=${REVIEWS}&from=10.10.1.10&path=/x&header=x-a:b`);
    assert.equal(JSON.parse(String(json.body)).verdict, "allowed");
    const text = await get(`to=${REVIEWS}&from=10.10.1.10&format=text`);
    assert.match(String(text.body), /^tunnel {3}CONNECT 10\.96\.1\.1:80, identity none\n/);
    assert.equal((await get("to=x")).status, 400);
    assert.equal((await get("to=x&from=10.0.0.1")).status, 400);
    close();
  });
});
