import assert from "node:assert/strict";
import { test } from "node:test";
import type { Opening } from "../../../../src/waypoint/http/transport.ts";
import type { Chain, ChainMatcher } from "../../../../src/waypoint/model/chain.ts";
import { Connections } from "../../../../src/waypoint/terminate/connections.ts";
import { FakeClock } from "../../../support/clock.ts";
import { downstream } from "../../../support/stream-record.ts";

const chain = { kind: "tcp", name: "inbound-vip|5432||db" } as unknown as Chain & { kind: "tcp" };

function matching(found: Chain | undefined): ChainMatcher {
  return {
    match: () => (found === undefined ? { kind: "none" } : { kind: "chain", chain: found }),
    inspectsTls: () => false,
    inspection: { timeoutMs: 0, onTimeout: "continue" },
  };
}

function stage() {
  const seen: string[] = [];
  const clock = new FakeClock();
  let matcher = matching(undefined);
  const served = { drain: () => undefined, abort: () => undefined, done: Promise.resolve() };
  const connections = new Connections({
    clock,
    matcher: () => matcher,
    servers: {
      http: () => served,
      tcp: () => {
        seen.push("served");
        return served;
      },
      unmatched: () => seen.push("unmatched"),
    },
  });
  const opening = { port: { abort: () => seen.push("reset") } } as unknown as Opening;
  return {
    seen,
    clock,
    connections,
    serve: () => connections.serve(opening, downstream()),
    configure: (found: Chain | undefined) => {
      matcher = matching(found);
      connections.chainsChanged(new Map());
    },
  };
}

test("a destination that is not known yet is served when the configuration comes", async () => {
  const { seen, clock, connections, serve, configure } = stage();
  const done = serve();
  await clock.advance(300);
  assert.equal(connections.size, 1);
  configure(undefined);
  await clock.advance(300);
  assert.deepEqual(seen, []);
  configure(chain);
  await done;
  assert.deepEqual(seen, ["served"]);
  assert.equal(connections.size, 0);
});

test("a destination that stays unknown is reset after a second", async () => {
  const { seen, clock, connections, serve } = stage();
  const done = serve();
  await clock.advance(999);
  assert.deepEqual(seen, []);
  await clock.advance(1);
  await done;
  assert.deepEqual(seen, ["unmatched", "reset"]);
  await connections.empty();
});

test("nobody waits when the end has come, and only so many do", async () => {
  const { seen, connections, serve, clock } = stage();
  const waiting = Array.from({ length: 1_024 }, serve);
  await clock.advance(1);
  await serve();
  assert.deepEqual(seen, ["unmatched", "reset"]);
  connections.drain();
  await Promise.all(waiting);
  assert.equal(seen.length, 2 * 1_025);
  await connections.empty();
  await serve();
  assert.equal(connections.size, 0);
});
