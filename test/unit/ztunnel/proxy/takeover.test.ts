import assert from "node:assert/strict";
import { after, test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { formatSpiffe } from "../../../../src/shared/identity/spiffe.ts";
import type { DialTcpOptions, PodNetwork } from "../../../../src/shared/os/network.ts";
import { LocalWorkload } from "../../../../src/ztunnel/proxy/local-workload.ts";
import {
  type OwnSessions,
  type Takeover,
  untilTakenOver,
} from "../../../../src/ztunnel/proxy/takeover.ts";
import { LoopbackMesh, type LoopbackPod } from "./loopback-mesh.ts";

const mesh = new LoopbackMesh();
after(() => mesh.stop());

const none: OwnSessions = { serves: () => false };

/** The pod's network as the kernel would show it while somebody else listens, too. */
function shared(pod: LoopbackPod, listeners: number, reached: readonly LoopbackPod[]): PodNetwork {
  const next = [...reached];
  return new Proxy<PodNetwork>(pod.network, {
    get: (network, name) => {
      if (name === "listenersOn") return () => listeners;
      if (name !== "connectTcp") return Reflect.get(network, name);
      return (options: DialTcpOptions) => {
        const { ip } = next.shift() ?? pod;
        const { port } = options.destination;
        return network.connectTcp({ ...options, destination: { ip, port } });
      };
    },
  });
}

interface Scene {
  readonly listeners: number;
  readonly reached?: readonly LoopbackPod[];
  readonly own?: OwnSessions;
  readonly limitMs?: number;
}

function takeover(
  pod: LoopbackPod,
  { listeners, reached = [], own = none, limitMs = 3_000 }: Scene,
): Promise<Takeover> {
  const { info } = pod.proxy;
  const local = new LocalWorkload(mesh.store, info, systemClock);
  const network = shared(pod, listeners, reached);
  return untilTakenOver({ node: mesh.node, info, network, local }, own, limitMs);
}

test("nobody beside us: nothing is waited for, and no connection is made", async () => {
  const pod = await mesh.addPod("alone");
  assert.equal(await takeover(pod, { listeners: 1 }), "alone");
  assert.equal(pod.network.dials.length, 0);
});

test("a successor with the pod's certificate has proven itself; connections that reach us do not count", async () => {
  const pod = await mesh.addPod("old", { serviceAccount: "orders" });
  const successor = await mesh.addPod("new", { serviceAccount: "orders" });
  let asked = 0;
  const own = { serves: () => ++asked < 3 };
  const reached = [pod, pod, successor];
  assert.equal(await takeover(pod, { listeners: 2, reached, own }), "proven");
  assert.equal(pod.network.dials.length, 3);
});

test("a successor without the pod's identity has not, and is asked again until the limit", async () => {
  const pod = await mesh.addPod("old-a", { serviceAccount: "a" });
  const stranger = await mesh.addPod("new-b", { serviceAccount: "b" });
  const reached = [stranger, stranger, stranger, stranger];
  const startedMs = performance.now();
  assert.equal(await takeover(pod, { listeners: 2, reached, limitMs: 300 }), "unproven");
  assert.ok(performance.now() - startedMs >= 290);
  assert.ok(pod.network.dials.length >= 2);
  assert.ok(mesh.logLines.some((line) => line.includes("successor has not proven a round trip")));
});

test("a successor that gets its certificate late is waited for", async () => {
  const pod = await mesh.addPod("old-late", { serviceAccount: "late" });
  const identity = formatSpiffe({
    trustDomain: "cluster.local",
    namespace: "shop",
    serviceAccount: "late",
  });
  mesh.withoutCertificate.add(identity);
  const reached = Array.from({ length: 50 }, () => pod);
  const outcome = takeover(pod, { listeners: 2, reached });
  await systemClock.sleep(150);
  mesh.withoutCertificate.delete(identity);
  assert.equal(await outcome, "proven");
});
