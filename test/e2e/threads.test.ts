/** Ztunnels whose data path has two threads: what one thread would do, on both. */
import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DATABASE_PORT, ECHO_PORT } from "../../src/cli/demo/apps/protocol.ts";
import { NODES, SHOP_NAMESPACE } from "../../src/cli/demo/shop.ts";
import { eventually, type Stage } from "../../src/cli/demo/stage.ts";
import { allowManyPorts, whileChurning } from "../support/churn.ts";
import { program } from "../support/program.ts";
import {
  answers,
  closeStage,
  configDump,
  enroll,
  http,
  metric,
  openStage,
  untilAnswers,
} from "../support/stage.ts";

const THREADS = ["0", "1"];
const CERTIFICATE_TTL_S = 20;
const OPENED = "istio_tcp_connections_opened_total";
const CLOSED = "istio_tcp_connections_closed_total";
const TAKEN = "ambit_worker_connections_total";

let stage: Stage;

before(async () => {
  stage = await openStage({
    ztunnelEnv: { ZTUNNEL_WORKER_THREADS: "2", SECRET_TTL: `${CERTIFICATE_TTL_S}s` },
  });
  await allowManyPorts(stage);
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
});

after(() => closeStage(stage));

async function perThread(node: string, name: string): Promise<readonly number[]> {
  return Promise.all(THREADS.map((thread) => metric(stage, node, name, `worker="${thread}"`)));
}

interface Carried {
  readonly src: string;
  readonly thread: number;
}

/** Connections of a pod by the thread that carries them. */
async function carried(pod: string, direction: "inbound" | "outbound"): Promise<Carried[]> {
  const { workloadState } = await configDump(stage, stage.pod(pod).node);
  const state = Object.values(workloadState).find(({ info }) => info.name === pod);
  return (state?.connections[direction] ?? []) as Carried[];
}

function threadsOf(connections: readonly Carried[]): number {
  return new Set(connections.map(({ thread }) => thread)).size;
}

/** How many sockets listen on the HBONE port of a pod. */
async function listeners(pod: string): Promise<number> {
  const { stdout } = await stage.world.run(pod, ["cat", "/proc/net/tcp6"]);
  return stdout.split("\n").filter((line) => line.includes(":3AA0 ") && line.includes(" 0A "))
    .length;
}

async function adminText(node: string, path: string): Promise<string> {
  const script = `fetch('http://127.0.0.1:15000${path}').then((r) => r.text()).then((t) => process.stdout.write(t))`;
  const { netns } = stage.mesh.ztunnel(node).pod;
  return (await stage.world.run(netns, [process.execPath, "-e", script])).stdout;
}

function deny(name: string, app: string, account: string): void {
  stage.folder.write(name, [
    {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name, namespace: SHOP_NAMESPACE },
      spec: {
        selector: { matchLabels: { app } },
        action: "DENY",
        rules: [
          {
            from: [
              { source: { principals: [`cluster.local/ns/${SHOP_NAMESPACE}/sa/${account}`] } },
            ],
          },
        ],
      },
    },
  ]);
}

test("both threads listen in each pod", async () => {
  for (const { name } of stage.shopPods) assert.equal(await listeners(name), 2, name);
  for (const node of NODES) assert.equal(await metric(stage, node, "tokio_num_workers"), 2);
});

test("connections are spread over both threads, and every number is the sum of both", async () => {
  const count = 300;
  const before = await Promise.all(NODES.map((node) => metric(stage, node, OPENED)));
  const bytesBefore = await metric(stage, "node1", "istio_tcp_received_bytes_total", 'app="web"');
  const takenBefore = await perThread("node1", TAKEN);
  const target = { host: stage.pod("catalog-v2").ip, port: ECHO_PORT };
  const result = await stage
    .app("web")
    .call("churn", { ...target, connections: count, concurrency: 20 });
  assert.deepEqual(result.failures, []);
  const taken = await perThread("node1", TAKEN);
  const grown = taken.map((value, thread) => value - (takenBefore[thread] ?? 0));
  // Where a connection goes is the kernel's hash of its addresses: 300 throws of a coin.
  for (const share of grown) assert.ok(share > count / 4, `threads took ${grown.join(" and ")}`);
  for (const [index, node] of NODES.entries()) {
    const opened = await metric(stage, node, OPENED);
    assert.ok(opened - (before[index] ?? 0) >= count);
    const all = await perThread(node, TAKEN);
    assert.equal(opened, (all[0] ?? 0) + (all[1] ?? 0));
    await eventually(`${node} has not counted every end`, 5_000, async () => {
      const [ended, begun] = [await metric(stage, node, CLOSED), await metric(stage, node, OPENED)];
      return ended === begun || undefined;
    });
  }
  const bytes = await metric(stage, "node1", "istio_tcp_received_bytes_total", 'app="web"');
  assert.ok(bytes > bytesBefore, "no byte was counted");
});

test("three connections of one application are carried by two threads, at its node and at the other one", async () => {
  const target = { host: stage.pod("db").ip, port: DATABASE_PORT };
  const sessions = ["few 1", "few 2", "few 3"];
  for (const session of sessions) await stage.app("orders").call("open", { session, ...target });
  assert.equal(threadsOf(await carried("orders", "outbound")), 2);
  // One tunnel's connection from each of the threads.
  assert.equal(threadsOf(await carried("db", "inbound")), 2);
  for (const session of sessions) await stage.app("orders").call("close", { session });
});

test("a change of policy cuts what is open on either thread, and both remember why", async () => {
  const target = { host: stage.pod("db").ip, port: DATABASE_PORT };
  const sessions: string[] = [];
  const clients = ["orders", "web", "catalog-v1"];
  // Tunnels come over a few connections, so it may take some of them until both threads of node2 have one.
  await eventually("one thread of node2 gets all", 20_000, async () => {
    for (const client of clients) {
      const session = `cut ${client} ${sessions.length}`;
      await stage.app(client).call("open", { session, ...target });
      sessions.push(session);
    }
    return threadsOf(await carried("db", "inbound")) === 2 || undefined;
  });
  for (const account of ["orders", "web", "catalog"]) deny(`not-${account}`, "db", account);
  await eventually(
    "a connection outlived the policy",
    10_000,
    () =>
      sessions.every((session) =>
        clients.some((client) => stage.app(client).sessionEnd(session) !== undefined),
      ) || undefined,
  );
  // Refused at the door, until both threads have done so.
  for (let attempt = 0; attempt < 30; attempt++)
    assert.equal(await answers(stage, "orders", target), false);
  const { decisions } = JSON.parse(await adminText("node2", "/debug/decisions?n=1000")) as {
    readonly decisions: readonly { readonly outcome: string; readonly time: string }[];
  };
  const cut = decisions.filter(({ outcome }) => outcome === "closed by a change").length;
  assert.equal(cut, sessions.length, "a cut connection is not remembered");
  const denied = decisions.filter(({ outcome }) => outcome === "denied").length;
  assert.ok(denied >= 30, `only ${denied} denials are remembered`);
  const times = decisions.map(({ time }) => time);
  assert.deepEqual(times, times.toSorted().reverse(), "not the newest first");
  const refusals = await stage.world.run(stage.mesh.ztunnel("node1").pod.netns, [
    ...program,
    ...["why", "--from", "orders", "--to", `${target.host}:${target.port}`],
  ]);
  assert.match(refusals.stdout, /recently[\s\S]*outbound refused/);
  for (const account of ["orders", "web", "catalog"]) stage.folder.remove(`not-${account}`);
  await untilAnswers(stage, "orders", http(stage, "catalog-v2"), true);
});

/** Serial numbers of the certificates that a pod's HBONE port shows to so many connections. */
async function shownSerials(pod: string, connections: number): Promise<ReadonlySet<string>> {
  const script = `
    const tls = require("node:tls");
    const one = () => new Promise((resolve) => {
      const socket = tls.connect({ host: "${stage.pod(pod).ip}", port: 15008, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
      socket.once("secureConnect", () => { resolve(socket.getPeerCertificate().serialNumber); socket.destroy(); });
      socket.once("error", (error) => resolve(error.message));
    });
    (async () => { for (let i = 0; i < ${connections}; i++) console.log(await one()); })();`;
  const { stdout } = await stage.world.run(stage.mesh.ztunnel("node1").pod.netns, [
    process.execPath,
    "-e",
    script,
  ]);
  return new Set(stdout.trim().split("\n"));
}

test("a renewed certificate reaches both threads", async () => {
  const before = await shownSerials("catalog-v2", 20);
  assert.equal(before.size, 1, `${[...before].join(", ")} are shown at once`);
  await eventually("the certificate was not renewed", CERTIFICATE_TTL_S * 1_000, async () => {
    const now = await shownSerials("catalog-v2", 20);
    // The first moment in which the old one is not seen any more; from then on there is only one.
    return ![...before].some((serial) => now.has(serial)) || undefined;
  });
  const after = await shownSerials("catalog-v2", 20);
  assert.equal(after.size, 1, `${[...after].join(", ")} are shown at once`);
  assert.match([...after][0] ?? "", /^[0-9A-F]+$/);
});

test("a drain under load loses nothing, whichever thread a connection is on", async () => {
  for (const node of NODES) {
    const churned = await whileChurning(stage, 8, async () => {
      const { before: old } = await stage.mesh.replaceZtunnel(node);
      assert.equal((await old.process.exited).code, 0);
    });
    assert.deepEqual(churned.failures, []);
    assert.ok(churned.ok >= 100, `only ${churned.ok} connections were made`);
  }
});

test("what is open on either thread may end by itself, then the process does", async () => {
  const old = stage.mesh.ztunnel("node1").process;
  const target = { host: stage.pod("db").ip, port: DATABASE_PORT };
  const sessions: string[] = [];
  await eventually("one thread of node1 gets all", 10_000, async () => {
    const session = `drained ${sessions.length}`;
    await stage.app("orders").call("open", { session, ...target });
    sessions.push(session);
    return threadsOf(await carried("orders", "outbound")) === 2 || undefined;
  });
  await stage.mesh.startZtunnel("node1");
  old.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const session of sessions) {
    const { answer } = await stage.app("orders").call("ask", { session, question: "still there" });
    assert.match(answer, /still there$/);
  }
  assert.ok(old.running, "the old one did not wait");
  for (const session of sessions) await stage.app("orders").call("close", { session });
  const startedMs = performance.now();
  assert.equal((await old.exited).code, 0);
  assert.ok(performance.now() - startedMs < 3_000, "it waited for nothing");
});

test("a pod that leaves the mesh closes the descriptors of both threads", async () => {
  const files = (): number => stage.mesh.ztunnel("node2").process.openFiles();
  // Two pods of node2, each with three listeners and the namespace on both threads.
  const perRound = 2 * 2 * 4;
  let lowest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    await enroll(stage, true);
    await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
    assert.equal(await listeners("catalog-v2"), 2);
    const inside = files();
    await enroll(stage, false);
    await eventually(
      () => `${inside} descriptors inside the mesh, ${files()} outside`,
      10_000,
      () => files() <= inside - perRound || undefined,
    );
    assert.equal(await listeners("catalog-v2"), 0);
    if (round > 0)
      assert.ok(files() <= lowest + 1, `${lowest} descriptors at first, ${files()} now`);
    lowest = Math.min(lowest, files());
  }
  await enroll(stage, true);
});

test("a change of the log's level reaches both threads", async () => {
  const { netns } = stage.mesh.ztunnel("node1").pod;
  const script =
    "fetch('http://127.0.0.1:15000/logging?level=access=debug', { method: 'POST' }).then(() => 0)";
  await stage.world.run(netns, [process.execPath, "-e", script]);
  const { process: ztunnel } = stage.mesh.ztunnel("node1");
  let opened = 0;
  const stop = ztunnel.onLine((line) => {
    if (line.includes("connection opened")) opened++;
  });
  const before = await perThread("node1", TAKEN);
  const target = { host: stage.pod("catalog-v2").ip, port: ECHO_PORT };
  await stage.app("web").call("churn", { ...target, connections: 50, concurrency: 5 });
  const after = await perThread("node1", TAKEN);
  const taken = after.reduce((sum, value, thread) => sum + value - (before[thread] ?? 0), 0);
  await eventually(
    () => `${opened} lines of ${taken}`,
    5_000,
    () => opened >= taken || undefined,
  );
  stop();
});
