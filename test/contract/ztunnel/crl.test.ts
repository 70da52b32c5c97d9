/** Revocation lists that change while traffic runs: open tunnels of the revoked end, on both sides of the wire. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { signCrl } from "../../support/crl.ts";
import { eventually } from "../envoy/endpoints.ts";
import { DedicatedStage, type DedicatedZtunnel } from "./stage.ts";

/** About two seconds; the file is looked at every second, and this machine may be busy. */
const DEADLINE_MS = 2_500;

const stage = new DedicatedStage();
const names = ["web", "api", "other"] as const;
type Name = (typeof names)[number];
const ztunnels = new Map<Name, DedicatedZtunnel>();
const at = (name: Name): DedicatedZtunnel => ztunnels.get(name) ?? assert.fail(name);

const listOf = (name: Name): string => join(stage.dir, `${name}.crl`);

/** As a mounted volume changes. */
function revoke(holder: Name, serials: readonly string[]): void {
  const read = (name: string): string => readFileSync(join(stage.stateDir, name), "utf8");
  const issuer = { certificatePem: read("ca-cert.pem"), keyPem: read("ca-key.pem") };
  const draft = `${listOf(holder)}.draft`;
  writeFileSync(draft, signCrl(issuer, serials));
  renameSync(draft, listOf(holder));
}

async function serialOf(name: Name): Promise<string> {
  const dump = JSON.parse(await stage.get(at(name).pod, 15000, "/config_dump"));
  const hex = BigInt(dump.certificates[0].certChain[0].serialNumber).toString(16).toUpperCase();
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}

/** An open connection to the application of `api` that has been answered. */
async function open(from: Name): Promise<Socket> {
  const socket = (await stage.dial(at(from).pod, at("api").pod.v4, 8080)).resume();
  await once(socket, "data");
  return socket;
}

function answers(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once("data", (chunk) => resolve(String(chunk) === "still there?"));
    socket.once("close", () => resolve(false));
    socket.write("still there?");
  });
}

before(async () => {
  await stage.open();
  const workloads = names.map((name, index) => ({
    uid: `Kubernetes//Pod/shop/${name}-1`,
    name: `${name}-1`,
    namespace: "shop",
    serviceAccount: name,
    workloadName: name,
    workloadIps: [`10.1.0.${11 + index}`],
    protocol: "HBONE",
    node: "node1",
  }));
  await Promise.all(
    names.map(async (name, index) => {
      const pod = await stage.pod(index + 1);
      await stage.echo(pod, 8080);
      const env = { ...stage.staticState(name, { workloads }), CRL_PATH: listOf(name) };
      ztunnels.set(name, await stage.ztunnel(pod, `shop/${name}-1/${name}`, env));
    }),
  );
});
after(() => stage.close());

for (const [holder, revoked, reporter, direction] of [
  ["api", "web", "destination", "inbound"],
  ["web", "api", "source", "outbound"],
] as const)
  test(`${direction}: the file at ${holder} names the certificate of ${revoked}`, {
    timeout: 30_000,
  }, async () => {
    const socket = await open("web");
    const innocent = await open("other");
    assert.ok(await answers(socket));
    const serial = await serialOf(revoked);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const startedMs = performance.now();
    revoke(holder, [serial]);
    await closed;
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < DEADLINE_MS, `${tookMs} ms`);
    assert.ok(await answers(innocent));
    const line =
      /^error\taccess\tconnection complete\t.* error="connection closed: peer certificate revoked by CRL"$/;
    const last = (): string => at(holder).access(direction).at(-1) ?? "";
    await eventually("the line", () => line.test(last()));
    const flagged = (name: string): Promise<number> =>
      stage.metric(at(holder), name, `reporter="${reporter}"`, 'response_flags="CERT_REVOKED"');
    assert.equal(await flagged("istio_tcp_connections_closed_total"), 1);
    assert.equal(await flagged("istio_tcp_connections_failed_total"), 1);
    const rejections = (): Promise<number> =>
      stage.metric(at(holder), "istio_crl_policy_rejections_total", `reporter="${reporter}"`);
    assert.equal(await rejections(), 1);

    // Whoever is revoked does not get in again, and everybody else does.
    assert.equal(await stage.ask(at("web").pod, at("api").pod.v4, 8080, "again"), "");
    await eventually("the refusal is counted", async () => (await rejections()) === 2);
    assert.match(await stage.ask(at("other").pod, at("api").pod.v4, 8080, "hi"), /hi$/);

    // A list without it is forgiveness.
    revoke(holder, []);
    await eventually("forgiven", async () =>
      /again$/.test(await stage.ask(at("web").pod, at("api").pod.v4, 8080, "again")),
    );
    innocent.destroy();
  });

test("nothing was untracked", async () => {
  for (const name of names)
    assert.equal(await stage.metric(at(name), "istio_crl_untracked_connections_total"), 0);
});
