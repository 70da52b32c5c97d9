/** Our node proxy's xDS client against our control plane: what it holds follows the objects, also across an absence. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type RunningControlPlane, startControlPlane } from "../../../src/controlplane/app.ts";
import { defaultMeshSettings } from "../../../src/controlplane/translate/settings.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { loadOrCreateKey, TOKEN_KEY_FILE } from "../../../src/shared/identity/key-file.ts";
import { signToken } from "../../../src/shared/identity/token.ts";
import { MeshStore } from "../../../src/shared/model/store.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import {
  redirectionStatusDir,
  writeRedirectionStatus,
} from "../../../src/shared/status/redirection.ts";
import { createLogger, LogFilter } from "../../../src/shared/telemetry/logger.ts";
import { XdsClient } from "../../../src/shared/xds/delta-client.ts";
import { openDeltaStream } from "../../../src/shared/xds/delta-stream.ts";
import { istio, namespace, pod, service } from "../../support/translate.ts";

const web = "Kubernetes//Pod/shop/web";
const api = "Kubernetes//Pod/shop/api";
const log = createLogger(
  { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
  "test",
);

let dir: string;
let stop: AbortController;
let running: RunningControlPlane | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ambit-node-proxy-"));
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await running?.stop();
  rmSync(dir, { recursive: true });
});

const file = (): string => join(dir, "objects.yaml");

function write(...objects: readonly string[]): void {
  writeFileSync(`${file()}.tmp`, objects.join("\n---\n"));
  renameSync(`${file()}.tmp`, file());
}

/** The TLS port stays the same, so that clients find a restarted one. */
async function start(port = 0): Promise<number> {
  const any = { host: "127.0.0.1", port: 0 };
  running = await startControlPlane(
    { clock: systemClock, log },
    {
      configPath: file(),
      stateDir: join(dir, "state"),
      grpc: any,
      secureGrpc: { host: "127.0.0.1", port },
      http: any,
      monitoring: any,
      mesh: defaultMeshSettings,
      maxConnectionAgeMs: 60_000,
    },
  );
  return running.ports.secureGrpc;
}

async function connect(port: number, onDemand = false) {
  const store = new MeshStore();
  const rejected: string[] = [];
  const key = loadOrCreateKey(join(dir, "state", TOKEN_KEY_FILE));
  const subject = { namespace: "istio-system", serviceAccount: "ztunnel", node: "node1" };
  const authToken = await signToken(key, subject, { issuedAtMs: Date.now(), ttlMs: 60_000 });
  const endpoint = {
    address: `https://127.0.0.1:${port}`,
    rootCa: join(dir, "state", "root-cert.pem"),
    authToken,
    clusterId: "Kubernetes",
    headers: new Map<string, string>(),
  };
  const client = new XdsClient(
    {
      open: (handlers) => openDeltaStream(endpoint, systemClock, handlers),
      clock: systemClock,
      logger: log,
      sink: store,
      events: { rejected: (_type, problems) => rejected.push(...problems) },
    },
    {
      node: {
        id: "ztunnel~127.0.0.1~z.istio-system~istio-system.svc.cluster.local",
        metadata: { NAMESPACE: "istio-system", NODE_NAME: "node1" },
      },
      onDemand,
    },
  );
  void client.run(stop.signal);
  return { client, store, rejected };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 8000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`did not happen in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("state is kept while the control plane is away, and what went meanwhile goes then", async () => {
  write(pod("web"), pod("api", { status: { podIP: "10.10.1.11" } }), service("web"));
  const port = await start();
  const { client, store, rejected } = await connect(port);
  await client.synced;
  assert.ok(store.workloadByUid(web) && store.workloadByUid(api));
  assert.equal(store.serviceByVip("", ipOf("10.96.1.1"), {})?.name, "web");
  await running?.stop();
  write(pod("web"), istio("AuthorizationPolicy", "p", { action: "DENY", rules: [{}] }));
  assert.ok(store.workloadByUid(api), "nothing is forgotten");
  await start(port);
  await until("the removed pod is gone", () => store.workloadByUid(api) === undefined);
  assert.ok(store.workloadByUid(web));
  assert.equal(store.serviceByVip("", ipOf("10.96.1.1"), {}), undefined);
  await until(
    "the new policy is there",
    () => store.policiesFor({ namespace: "shop", authorizationPolicies: [] }).policies.length === 1,
  );
  write(pod("web"));
  await until(
    "the policy is gone",
    () => store.policiesFor({ namespace: "shop", authorizationPolicies: [] }).policies.length === 0,
  );
  assert.deepEqual(rejected, []);
});

test("a pod turns to HBONE when its node agent says so, and back", async () => {
  const labels = { "istio.io/dataplane-mode": "ambient" };
  write(namespace("shop", labels), pod("web", { annotations: { "ambit.dev/netns": "/x" } }));
  const statusDir = await redirectionStatusDir(file());
  await writeRedirectionStatus(statusDir, { node: "node1", pods: [] });
  const { client, store } = await connect(await start());
  await client.synced;
  const protocol = () => store.workloadByUid(web)?.protocol;
  assert.equal(protocol(), "TCP");
  const startedMs = performance.now();
  await writeRedirectionStatus(statusDir, { node: "node1", pods: ["shop/web"] });
  await until("HBONE", () => protocol() === "HBONE");
  assert.ok(performance.now() - startedMs < 1000);
  await writeRedirectionStatus(statusDir, { node: "node1", pods: [] });
  await until("TCP", () => protocol() === "TCP");
});

test("on demand a client learns its own node, and the rest as it asks", async () => {
  const far = { spec: { nodeName: "node2" } };
  write(
    pod("web"),
    pod("api", { ...far, status: { podIP: "10.10.2.11" } }),
    pod("other", { ...far, status: { podIP: "10.10.2.12" } }),
    service("api"),
  );
  const { client, store } = await connect(await start(), true);
  await client.synced;
  await until("the node's own pod", () => store.workloadByUid(web) !== undefined);
  assert.equal(store.workloadByUid(api), undefined);
  await client.demand("shop/api.shop.svc.cluster.local");
  assert.ok(store.workloadByUid(api), "the endpoints come with the service");
  assert.equal(store.workloadByUid("Kubernetes//Pod/shop/other"), undefined);
  await client.demand("shop/absent.shop.svc.cluster.local");
});

test("a golden mesh is taken without a rejection", async () => {
  write(
    readFileSync(
      join(import.meta.dirname, "../../golden/l7-egress-service-entry/input.yaml"),
      "utf8",
    ),
  );
  const { client, store, rejected } = await connect(await start());
  await client.synced;
  assert.ok(store.serviceByHostname("api.example.com", {}));
  assert.deepEqual(rejected, []);
});
