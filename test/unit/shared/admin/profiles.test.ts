import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { type AdminServer, startAdminServer } from "../../../../src/shared/admin/http-server.ts";
import { profileRoutes } from "../../../../src/shared/admin/profile-routes.ts";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import {
  type Profile,
  ProfileSchema,
} from "../../../../src/shared/wire/gen/perftools/profiles/profile_pb.js";

const servers: AdminServer[] = [];
after(() => Promise.all(servers.map((server) => server.close())));

async function serve(): Promise<(path: string) => Promise<Response>> {
  const routes = profileRoutes(systemClock);
  const server = await startAdminServer({ name: "test", hosts: ["127.0.0.1"], port: 0, routes });
  servers.push(server);
  return (path) => fetch(`http://127.0.0.1:${server.port}${path}`);
}

async function read(answer: Response): Promise<Profile> {
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "application/octet-stream");
  return fromBinary(ProfileSchema, gunzipSync(Buffer.from(await answer.arrayBuffer())));
}

function names(profile: Profile): string[] {
  return profile.function.map(({ name }) => profile.stringTable[Number(name)] ?? "");
}

function types(profile: Profile): string[] {
  return profile.sampleType.map(
    ({ type, unit }) => `${profile.stringTable[Number(type)]}/${profile.stringTable[Number(unit)]}`,
  );
}

test("parameters out of range are refused", async () => {
  const call = await serve();
  for (const query of ["seconds=0", "seconds=301", "seconds=x", "frequency=0", "frequency=1001"]) {
    const answer = await call(`/debug/pprof/profile?${query}`);
    assert.equal(answer.status, 400, query);
    assert.match(await answer.text(), /^invalid (seconds|frequency) value; expected 1-\d+\n$/);
  }
  assert.equal((await call("/debug/pprof/heap?seconds=301")).status, 400);
});

async function keepThisThreadBusy(until: Promise<unknown>): Promise<void> {
  let running = true;
  void until.finally(() => {
    running = false;
  });
  while (running) {
    const untilMs = performance.now() + 20;
    while (performance.now() < untilMs) Math.sqrt(untilMs);
    await turn();
  }
}

test("CPU: what kept the thread busy, in the types that pprof expects", async () => {
  const call = await serve();
  const asked = call("/debug/pprof/profile?seconds=1&frequency=1000");
  await keepThisThreadBusy(asked);
  const profile = await read(await asked);
  assert.deepEqual(types(profile), ["samples/count", "cpu/nanoseconds"]);
  assert.equal(profile.period, 1_000_000n);
  assert.ok(names(profile).includes("keepThisThreadBusy"), names(profile).join(" "));
  const nanos = profile.sample.reduce((sum, { value }) => sum + Number(value[1]), 0);
  assert.ok(nanos > 5e8 && nanos < 2e9, `${nanos} ns`);
  assert.ok(Number(profile.durationNanos) > 9e8);
});

const kept: object[] = [];
function keepSomething(): void {
  for (let index = 0; index < 200_000; index++) kept.push({ index, text: `${index}` });
}

test("heap: what was allocated since sampling was switched on, and is still there", async () => {
  const call = await serve();
  const state = async (query: string): Promise<string> => {
    const answer = await call(`/debug/pprof/heap/profiling${query}`);
    return `${answer.status} ${await answer.text()}`;
  };
  assert.equal(await state(""), "200 heap profiling active: false\n");
  assert.equal(
    await state("?activate=yes"),
    '400 invalid activate value "yes"; expected true or false\n',
  );
  assert.equal(await state("?activate=true"), "200 heap profiling active: true\n");
  assert.equal(await state("?activate=true"), "200 heap profiling active: true\n");
  keepSomething();
  const startedMs = performance.now();
  const profile = await read(await call("/debug/pprof/heap?seconds=300"));
  assert.ok(performance.now() - startedMs < 60_000, "an active sampler is read at once");
  assert.deepEqual(types(profile), ["inuse_space/bytes"]);
  assert.ok(names(profile).includes("keepSomething"), names(profile).join(" "));
  // Reading it does not end it.
  assert.ok(names(await read(await call("/debug/pprof/heap"))).includes("keepSomething"));
  assert.equal(await state("?activate=false"), "200 heap profiling active: false\n");
  assert.equal(kept.length, 200_000);
});

test("heap: without that, what is allocated while the request waits; two at once do not disturb one another", async () => {
  const call = await serve();
  const both = Promise.all([call("/debug/pprof/heap?seconds=1"), call("/debug/pprof/heap")]);
  kept.length = 0;
  const untilMs = performance.now() + 300;
  while (performance.now() < untilMs) await turn();
  keepSomething();
  for (const answer of await both) assert.ok(names(await read(answer)).includes("keepSomething"));
});

test("a client that goes away ends the profile", async () => {
  const call = await serve();
  const port = servers.at(-1)?.port;
  const gone = new AbortController();
  const asked = fetch(`http://127.0.0.1:${port}/debug/pprof/profile?seconds=300`, {
    signal: gone.signal,
  });
  await turn();
  gone.abort();
  await assert.rejects(asked);
  assert.equal((await call("/debug/pprof/heap?seconds=1")).status, 200);
});
