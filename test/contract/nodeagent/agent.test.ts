/**
 * A whole node agent with real namespaces, real rules and a ztunnel at the other end of the socket. What it does is recorded
 * in the order it takes effect.
 */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { NodeAgent } from "../../../src/nodeagent/app.ts";
import { cleanUpNode } from "../../../src/nodeagent/process.ts";
import { commandRedirector, type Redirector } from "../../../src/nodeagent/redirect/apply.ts";
import { hostProbes } from "../../../src/nodeagent/redirect/host-probes.ts";
import { Slots } from "../../../src/nodeagent/redirect/slots.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { Readiness } from "../../../src/shared/base/readiness.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import type { ObjectSnapshot, ObjectSource } from "../../../src/shared/objects/source.ts";
import type { TcpListener } from "../../../src/shared/os/network.ts";
import { hostNetwork } from "../../../src/shared/os/pod-network.ts";
import { LogFilter } from "../../../src/shared/telemetry/logger.ts";
import { WorkloadManager } from "../../../src/ztunnel/inpod/workload-manager.ts";
import { runZdsClient } from "../../../src/ztunnel/inpod/zds-client.ts";
import { quietLog, rememberingLog } from "../../support/log.ts";
import { snapshotOf } from "../../support/objects.ts";
import { addPod, inPod, layOut, sh, type TestPod } from "../../support/pods.ts";

const zdsPath = "/run/zds.sock";
let pods: readonly [TestPod, TestPod];
before(() => {
  layOut();
  pods = [addPod(1), addPod(2)];
});
after(() => {
  for (const pod of pods) pod.namespace.close();
});

interface PodText {
  readonly name: string;
  readonly netns: string;
  readonly labels?: string;
  readonly ip?: string;
}

function objects(ambient: boolean, ...podTexts: readonly PodText[]): string {
  const mode = ambient ? "ambient" : "none";
  return [
    `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio.io/dataplane-mode: ${mode}}}`,
    ...podTexts.map(
      ({ name, netns, labels = "", ip = "" }) =>
        `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: shop, uid: ${name}, labels: {${labels}}, annotations: {ambit.dev/netns: ${netns}}}\nspec: {nodeName: n1, containers: [{name: c}]}\nstatus: {podIPs: [${ip && `{ip: ${ip}}`}]}`,
    ),
  ].join("\n---\n");
}

/** Objects that the test changes by hand. */
class HandSource implements ObjectSource {
  snapshot: ObjectSnapshot;
  readonly #listeners = new Set<Parameters<ObjectSource["onChange"]>[0]>();

  constructor(text: string) {
    this.snapshot = snapshotOf(text);
  }
  onChange(listener: Parameters<ObjectSource["onChange"]>[0]): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  close(): void {
    this.#listeners.clear();
  }
  become(text: string): void {
    const removed = [...this.snapshot.objects.values()];
    this.snapshot = snapshotOf(text, this.snapshot.revision + 1);
    const change = { upserted: [...this.snapshot.objects.values()], removed };
    for (const listener of this.#listeners) listener(this.snapshot, change);
  }
}

let events: string[];
let lines: string[];
let source: HandSource;
let agent: NodeAgent;
let stopZtunnel: (() => Promise<void>) | undefined;

const real = commandRedirector({ clock: systemClock, slots: new Slots(2) });
const nameOf = (label: string): string => label.replace("/run/netns/", "");
const recording: Redirector = {
  apply: async (namespace, options) => {
    await real.apply(namespace, options);
    events.push(`rules ${nameOf(namespace.label)}`);
  },
  release: async (namespace) => {
    await real.release(namespace);
    events.push(`released ${nameOf(namespace.label)}`);
  },
  remove: async (namespace) => {
    await real.remove(namespace);
    events.push(`removed ${nameOf(namespace.label)}`);
  },
  isApplied: (namespace) => real.isApplied(namespace),
  applyHost: (rules) => real.applyHost(rules),
  removeHost: () => real.removeHost(),
};

async function startAgent(redirector = recording): Promise<void> {
  agent = await NodeAgent.start(
    {
      clock: systemClock,
      log: rememberingLog(lines),
      random: () => 0.5,
      source,
      redirector,
      probes: hostProbes((ips) => redirector.applyHost({ pods: ips, proberUid: undefined })),
      writeStatus: async (status) => {
        events.push(`status [${status.pods}]`);
      },
    },
    { node: "n1", zdsPath, captureDns: true, releaseGraceMs: 30, releaseDrainMs: 30 },
  );
}

function startZtunnel(): void {
  const abort = new AbortController();
  const ignore = (): void => undefined;
  const manager = new WorkloadManager({
    factory: {
      start: async ({ uid }) => {
        events.push(`listening ${uid}`);
        return { drain: async () => undefined, stop: () => events.push(`cut ${uid}`) };
      },
    },
    readiness: new Readiness(),
    log: quietLog,
    metrics: {
      activeProxies: ignore,
      pendingProxies: ignore,
      proxyStarted: ignore,
      proxyStopped: ignore,
    },
  });
  const ended = runZdsClient(
    { manager, clock: systemClock, log: quietLog, random: () => 0.5 },
    zdsPath,
    abort.signal,
  );
  stopZtunnel = async () => {
    abort.abort(new Error("test over"));
    await ended;
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i > 500) assert.fail(`waited in vain: ${what}\n${events.join("\n")}\n${lines.join("")}`);
    await systemClock.sleep(10);
  }
}
const rungOf = (uid: string) => agent.report().find((report) => report.uid === uid)?.rung;
const captured = (pod: TestPod): boolean => inPod(pod, "nft list tables").includes("inet ambit");

beforeEach(() => {
  events = [];
  lines = [];
});
afterEach(async () => {
  agent.stop();
  await stopZtunnel?.();
  stopZtunnel = undefined;
  for (const pod of pods) await real.remove(pod.namespace);
});

const a = { name: "a", netns: "/run/netns/pod1" };
const b = { name: "b", netns: "/run/netns/pod2" };

describe("the node agent", () => {
  it("enrolls and releases a pod in the order that loses no connection", async () => {
    source = new HandSource(objects(true, a));
    await startAgent();
    startZtunnel();
    await until("enrolled", () => rungOf("a") === "published");
    assert.deepEqual(events, ["status []", "listening a", "rules pod1", "status [a]"]);
    events = [];
    source.become(objects(false, a));
    await until("released", () => rungOf("a") === "outside" && events.length === 4);
    assert.deepEqual(events, ["status []", "released pod1", "cut a", "removed pod1"]);
  });

  it("releases a pod that opts out or goes away, and leaves its neighbour alone", async () => {
    source = new HandSource(objects(true, a, b));
    await startAgent();
    startZtunnel();
    await until("enrolled", () => rungOf("a") === "published" && rungOf("b") === "published");
    source.become(objects(true, { ...a, labels: "istio.io/dataplane-mode: none" }, b));
    await until("a out", () => rungOf("a") === "outside");
    assert.deepEqual([captured(pods[0]), captured(pods[1])], [false, true]);
    source.become(objects(true));
    await until("b out", () => agent.report().length === 0);
    assert.equal(captured(pods[1]), false);
  });

  it("turns round half way", async () => {
    source = new HandSource(objects(true, a));
    await startAgent();
    startZtunnel();
    await until("enrolled", () => rungOf("a") === "published");
    events = [];
    source.become(objects(false, a));
    await until("on its way out", () => rungOf("a") === "redirected");
    source.become(objects(true, a));
    await until("back", () => rungOf("a") === "published");
    assert.deepEqual(events, ["status []", "status [a]"]);
  });

  it("takes over what an earlier agent left, without touching the status or the traffic", async () => {
    source = new HandSource(objects(true, a));
    await startAgent();
    startZtunnel();
    await until("enrolled", () => rungOf("a") === "published");
    agent.stop();
    assert.equal(captured(pods[0]), true);
    events = [];
    await startAgent();
    assert.deepEqual(events[0], "status [a]");
    await until("settled", () => rungOf("a") === "published" && agent.ztunnelCount === 1);
    await systemClock.sleep(50);
    assert.deepEqual(events, ["status [a]", "rules pod1", "status [a]"]);
  });

  it("releases what an earlier agent left in a pod that is no longer in the mesh", async () => {
    await real.apply(pods[0].namespace, {
      captureDns: true,
      captureInbound: true,
      virtualInterfaces: [],
    });
    source = new HandSource(objects(false, a));
    await startAgent();
    await until("clean", () => rungOf("a") === "outside");
    assert.equal(captured(pods[0]), false);
    assert.deepEqual(events, ["status [a]", "status []", "released pod1", "removed pod1"]);
  });

  it("follows a change of the annotations", async () => {
    source = new HandSource(objects(true, a));
    await startAgent();
    startZtunnel();
    await until("enrolled", () => rungOf("a") === "published");
    source.become(
      objects(true, { ...a, netns: `${a.netns}, ambient.istio.io/dns-capture: "false"` }),
    );
    await until("reapplied", () => !inPod(pods[0], "nft list ruleset").includes("15053"));
    assert.deepEqual(events.slice(-2), ["rules pod1", "status [a]"]);
  });
});

describe("probes of the node", () => {
  const app = (): Promise<TcpListener> =>
    pods[0].network.listenTcp(
      { ip: ipOf("::"), port: 8080, reusePort: false, transparent: "never" },
      (socket) => {
        socket.resume();
        socket.end(`you are ${pods[0].network.peerAddress(socket)?.ip}`);
      },
    );
  const probe = async (): Promise<string> => {
    const destination = { ip: pods[0].v4, port: 8080 };
    const socket = await hostNetwork(systemClock).dialTcp({ destination, timeoutMs: 1000 });
    socket.end();
    return text(socket);
  };

  it("reach a captured pod under the probe address, before and after a restart of the agent", async () => {
    const listener = await app();
    source = new HandSource(objects(true, { ...a, ip: pods[0].v4 }));
    await startAgent();
    startZtunnel();
    await until("enrolled", () => rungOf("a") === "published");
    assert.equal(await probe(), "you are 169.254.7.127");
    agent.stop();
    assert.equal(await probe(), "you are 169.254.7.127");
    await startAgent();
    assert.equal(await probe(), "you are 169.254.7.127");
    source.become(objects(false, a));
    await until("released", () => rungOf("a") === "outside");
    assert.equal(await probe(), "you are 10.1.0.1");
    await listener.close();
    await real.removeHost();
    assert.equal(sh("nft list tables"), "");
  });
});

it("cleaning up a node leaves nothing of the mesh in its pods, nor in its status", async () => {
  await real.apply(pods[0].namespace, {
    captureDns: true,
    captureInbound: true,
    virtualInterfaces: [],
  });
  await real.applyHost({ pods: [pods[0].v4], proberUid: undefined });
  sh("mkdir -p /run/objects/.ambit/status && touch /run/objects/.ambit/status/n1.json");
  writeFileSync("/run/objects/pods.yaml", objects(true, a, b));
  const settings = {
    config: "/run/objects",
    node: "n1",
    zds: zdsPath,
    dnsCapture: true,
    releaseGraceMs: 0,
    releaseDrainMs: 0,
    probes: "off",
    log: new LogFilter("off"),
    logFormat: "plain",
  } as const;
  await cleanUpNode(settings);
  assert.deepEqual([captured(pods[0]), captured(pods[1])], [false, false]);
  assert.equal(inPod(pods[0], "ip rule").includes("0x111"), false);
  assert.equal(sh("nft list tables"), "");
  assert.equal(existsSync("/run/objects/.ambit/status/n1.json"), false);
  await cleanUpNode(settings);
});

describe("trouble with one pod", () => {
  const reasonOf = (uid: string): string =>
    agent.report().find((report) => report.uid === uid)?.reason ?? "";

  it("stays with it: a missing namespace, and one that comes later", async () => {
    source = new HandSource(objects(true, { name: "c", netns: "/run/netns/pod9" }, b));
    await startAgent();
    startZtunnel();
    await until("b enrolled", () => rungOf("b") === "published");
    assert.match(reasonOf("c"), /Cannot open network namespace .*pod9: no such file or directory/);
    sh("touch /run/netns/pod9 && mount --bind /run/netns/pod1 /run/netns/pod9");
    await until("c enrolled", () => rungOf("c") === "published");
    sh("umount /run/netns/pod9 && rm /run/netns/pod9");
  });

  it("refuses the node's own namespace and one that belongs to another pod", async () => {
    const own = { name: "own", netns: "/proc/self/ns/net" };
    const thief = { name: "z-thief", netns: a.netns };
    source = new HandSource(objects(true, a, own, thief));
    await startAgent();
    startZtunnel();
    await until("a enrolled", () => rungOf("a") === "published");
    await until("others refused", () => reasonOf("own") !== "" && reasonOf("z-thief") !== "");
    assert.match(reasonOf("own"), /it is the node's own/);
    assert.match(reasonOf("z-thief"), /pod a is in it/);
    assert.doesNotMatch(sh("nft list tables"), /inet ambit$/m);
  });

  it("refuses a namespace that has none of the pod's addresses", async () => {
    source = new HandSource(objects(true, { ...a, ip: "10.1.0.99" }));
    await startAgent();
    startZtunnel();
    await until("refused", () => reasonOf("a") !== "");
    assert.match(reasonOf("a"), /it has none of the pod's addresses \(10.1.0.99\)/);
    source.become(objects(true, { ...a, ip: pods[0].v4 }));
    await until("enrolled", () => rungOf("a") === "published");
  });

  it("gives a vanished namespace up, and enrolls the one that replaces it", async () => {
    sh("touch /run/netns/moving && mount --bind /run/netns/pod1 /run/netns/moving");
    source = new HandSource(objects(true, { name: "m", netns: "/run/netns/moving" }));
    await startAgent();
    startZtunnel();
    await until("enrolled", () => rungOf("m") === "published");
    events = [];
    sh("umount /run/netns/moving");
    await until("given up", () => events.includes("removed moving"));
    assert.equal(captured(pods[0]), false);
    sh("mount --bind /run/netns/pod2 /run/netns/moving");
    await until("enrolled anew", () => captured(pods[1]) && rungOf("m") === "published");
    assert.deepEqual(events.slice(0, 2), ["status []", "cut m"]);
    sh("umount /run/netns/moving && rm /run/netns/moving");
  });

  it("tries again what failed for a while", async () => {
    let failures = 0;
    source = new HandSource(objects(true, a));
    await startAgent({
      ...recording,
      apply: async (namespace, options) => {
        if (failures++ < 2) throw new Error("nft is out of order");
        await recording.apply(namespace, options);
      },
    });
    startZtunnel();
    await until("told", () => reasonOf("a") === "nft is out of order");
    await until("enrolled", () => rungOf("a") === "published");
    assert.equal(
      lines.filter((line) => line.includes("\twarn\t") && line.includes("nft is out")).length,
      1,
    );
  });
});
