import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { SecretSchema } from "../../../../src/shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { WorkloadSchema } from "../../../../src/shared/wire/gen/istio/workload/workload_pb.js";
import { DeltaConnection } from "../../../../src/shared/xds/delta-connection.ts";
import { openDeltaStream } from "../../../../src/shared/xds/delta-stream.ts";
import { SecretBook } from "../../../../src/waypoint/secrets/secret-book.ts";
import { WorkloadTable } from "../../../../src/waypoint/workloads/index.ts";
import { WaypointProtocol } from "../../../../src/waypoint/xds/protocol.ts";
import {
  clusterType,
  endpointsType,
  listenerType,
  secretType,
  workloadType,
} from "../../../../src/waypoint/xds/types.ts";
import { FakeControlPlane, type FakeStream } from "../../../support/fake-control-plane.ts";
import { catalogRig, clusters, endpoints, listeners, type Rig, response } from "./rig.ts";

const node = {
  id: "waypoint~10.10.2.50~w.shop~shop.svc.cluster.local",
  cluster: "waypoint.shop",
  metadata: { NAMESPACE: "shop" },
};

interface Harness extends Rig {
  readonly server: FakeControlPlane;
  readonly protocol: WaypointProtocol;
  readonly xds: DeltaConnection;
  readonly workloads: WorkloadTable;
  readonly secrets: SecretBook;
  readonly answered: string[];
}

let stop = new AbortController();
let servers: FakeControlPlane[] = [];

afterEach(() => {
  stop.abort();
  stop = new AbortController();
  for (const server of servers) server.stop();
  servers = [];
});

async function start(options: { onDemand?: boolean } = {}): Promise<Harness> {
  const server = new FakeControlPlane();
  servers.push(server);
  const address = await server.start();
  const rig = catalogRig();
  const workloads = new WorkloadTable("");
  const answered: string[] = [];
  const logger = createLogger(
    { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
    "xds",
  );
  const secrets = new SecretBook();
  const protocol = new WaypointProtocol({
    node,
    secrets,
    resources: rig.catalog,
    workloads,
    onDemand: options.onDemand ?? false,
    log: logger,
    accepted: () => undefined,
    rejected: () => undefined,
    answered: (keys) => answered.push(...keys),
  });
  const endpoint = { address, rootCa: "", clusterId: "c1", headers: new Map<string, string>() };
  const xds = new DeltaConnection(
    {
      open: (handlers) => openDeltaStream(endpoint, systemClock, handlers),
      clock: systemClock,
      logger,
    },
    protocol,
  );
  void xds.run(stop.signal);
  return { ...rig, server, protocol, xds, workloads, secrets, answered };
}

async function requests(stream: FakeStream, count: number) {
  const all: Awaited<ReturnType<FakeStream["next"]>>[] = [];
  for (let i = 0; i < count; i++) all.push(await stream.next());
  return all;
}

function workload(uid: string, ip: readonly number[], network = "") {
  const message = create(WorkloadSchema, {
    uid,
    name: `${uid}-1`,
    namespace: "shop",
    network,
    addresses: [Uint8Array.from(ip)],
    workloadName: uid,
    canonicalName: `${uid}-app`,
  });
  return {
    name: uid,
    version: `v-${uid}`,
    aliases: [`${network}/${ip.join(".")}`],
    resource: { typeUrl: workloadType, value: toBinary(WorkloadSchema, message) },
  };
}

describe("one stream", () => {
  test("asks for clusters, listeners and workloads as a whole, for endpoints by name", async () => {
    const { server, protocol, state, workloads } = await start();
    const stream = await server.nextStream();
    const first = await requests(stream, 3);
    assert.deepEqual(
      first.map(({ typeUrl }) => typeUrl),
      [clusterType, listenerType, workloadType],
    );
    for (const request of first) {
      assert.equal(request.node?.id, node.id);
      assert.equal(request.node?.cluster, "waypoint.shop");
      assert.deepEqual(request.resourceNamesSubscribe, []);
    }
    stream.respond({ ...clusters("a", "b", "c!"), nonce: "1" });
    const [ack, eds] = await requests(stream, 2);
    assert.equal(ack?.responseNonce, "1");
    assert.equal(ack?.errorDetail, undefined);
    assert.equal(eds?.typeUrl, endpointsType);
    assert.deepEqual(eds?.resourceNamesSubscribe, ["a", "b"]);
    stream.respond({ ...endpoints("a", "b"), nonce: "2" });
    stream.respond({ ...listeners("a,b"), nonce: "3" });
    stream.respond({
      typeUrl: workloadType,
      nonce: "4",
      resources: [workload("web", [10, 0, 0, 1])],
    });
    await requests(stream, 3);
    await protocol.synced;
    assert.equal(state.current.terminate?.addresses[0]?.port, 15008);
    assert.equal(workloads.byAddress("10.0.0.1")?.workload, "web");
    assert.equal(workloads.byAddress("10.0.0.1")?.canonicalService, "web-app");
    // Clusters that went take their endpoints' subscription along.
    stream.respond({ ...response(clusterType, { removed: ["b"] }), nonce: "5" });
    const [, unsubscribe] = await requests(stream, 2);
    assert.deepEqual(unsubscribe?.resourceNamesUnsubscribe, ["b"]);
    assert.deepEqual(unsubscribe?.resourceNamesSubscribe, []);
  });

  test("names each refused resource in the NACK, and is not stuck by it", async () => {
    const { server, protocol } = await start();
    const stream = await server.nextStream();
    await requests(stream, 3);
    stream.respond({ ...clusters("a#bad", "b"), nonce: "1" });
    const [nack, eds] = await requests(stream, 2);
    assert.equal(nack?.responseNonce, "1");
    assert.equal(nack?.errorDetail?.message, "a: lb_policy: is not supported");
    assert.deepEqual(eds?.resourceNamesSubscribe, ["b"]);
    stream.respond({ ...listeners("b"), nonce: "2" });
    stream.respond({ typeUrl: workloadType, nonce: "3" });
    await requests(stream, 2);
    await protocol.synced;
  });

  test("a type that nobody asked for is acknowledged", async () => {
    const { server } = await start();
    const stream = await server.nextStream();
    await requests(stream, 3);
    stream.respond({ typeUrl: "type.googleapis.com/x.Y", nonce: "n" });
    assert.equal((await stream.next()).responseNonce, "n");
  });
});

test("a new stream names what is held; what serves goes on meanwhile", async () => {
  const { server, state, workloads } = await start();
  const stream = await server.nextStream();
  await requests(stream, 3);
  stream.respond({ ...clusters("a", "bad#bad"), nonce: "1" });
  stream.respond({ ...endpoints("a"), nonce: "2" });
  stream.respond({ ...listeners("a"), nonce: "3" });
  stream.respond({
    typeUrl: workloadType,
    nonce: "4",
    resources: [workload("web", [10, 0, 0, 1])],
  });
  await requests(stream, 5);
  const serving = state.current;
  stream.end({ code: 14, details: "gone" });
  const second = await server.nextStream();
  const again = await requests(second, 4);
  assert.deepEqual(
    again.map(({ typeUrl, initialResourceVersions, resourceNamesSubscribe }) => [
      typeUrl,
      initialResourceVersions,
      resourceNamesSubscribe,
    ]),
    [
      [clusterType, { a: "1" }, []],
      [endpointsType, { a: "1" }, ["a"]],
      [listenerType, { main_internal: "1", connect_terminate: "1" }, []],
      [workloadType, { web: "v-web" }, []],
    ],
  );
  assert.equal(state.current, serving);
  second.respond({ typeUrl: workloadType, nonce: "5", removedResources: ["web"] });
  await second.next();
  assert.equal(workloads.byAddress("10.0.0.1"), undefined);
});

test("workloads on demand are asked for by network and address, and their absence is an answer", async () => {
  const { server, protocol, xds, workloads, answered } = await start({ onDemand: true });
  const stream = await server.nextStream();
  assert.deepEqual(
    (await requests(stream, 2)).map(({ typeUrl }) => typeUrl),
    [clusterType, listenerType],
  );
  const request = protocol.demand("net/10.0.0.1");
  assert.ok(request);
  xds.send(request);
  assert.equal(protocol.demand("net/10.0.0.1"), undefined);
  const sent = await stream.next();
  assert.equal(sent.typeUrl, workloadType);
  assert.deepEqual(sent.resourceNamesSubscribe, ["net/10.0.0.1"]);
  stream.respond({
    typeUrl: workloadType,
    nonce: "1",
    resources: [workload("web", [10, 0, 0, 1], "net")],
    removedResources: ["net/10.0.0.2"],
  });
  await stream.next();
  assert.equal(workloads.byAddress("10.0.0.1")?.workload, "web");
  assert.deepEqual(answered.sort(), ["net/10.0.0.1", "net/10.0.0.2", "web"]);
});

test("a workload that cannot be read is refused, the others stay", async () => {
  const { server, workloads } = await start();
  const stream = await server.nextStream();
  await requests(stream, 3);
  stream.respond({
    typeUrl: workloadType,
    nonce: "1",
    resources: [
      { name: "broken", resource: { typeUrl: workloadType, value: Uint8Array.of(0xff) } },
      workload("web", [10, 0, 0, 1]),
    ],
  });
  assert.match((await stream.next()).errorDetail?.message ?? "", /^broken: /);
  assert.equal(workloads.size, 1);
});

test("key material that clusters name is asked for, kept, and taken back", async () => {
  const { server, secrets } = await start();
  const stream = await server.nextStream();
  await requests(stream, 3);
  stream.respond({ ...clusters("a!#kubernetes://client"), nonce: "1" });
  const [, ask] = await requests(stream, 2);
  assert.equal(ask?.typeUrl, secretType);
  assert.deepEqual(ask?.resourceNamesSubscribe, ["kubernetes://client"]);
  const bytes = (text: string) => ({
    specifier: { case: "inlineBytes", value: Buffer.from(text) } as const,
  });
  const secret = (name: string, type: MessageInitShape<typeof SecretSchema>["type"]) => ({
    name,
    resource: {
      typeUrl: secretType,
      value: toBinary(SecretSchema, create(SecretSchema, { name, ...(type && { type }) })),
    },
  });
  stream.respond({
    typeUrl: secretType,
    nonce: "2",
    resources: [
      secret("kubernetes://client", {
        case: "tlsCertificate",
        value: { certificateChain: bytes("CHAIN"), privateKey: bytes("KEY") },
      }),
      secret("kubernetes://client-cacert", {
        case: "validationContext",
        value: { trustedCa: bytes("ROOTS") },
      }),
      secret("kubernetes://odd", {
        case: "validationContext",
        value: { trustedCa: bytes("ROOTS"), allowExpiredCertificate: true },
      }),
    ],
  });
  const nack = await stream.next();
  assert.equal(
    nack.errorDetail?.message,
    "kubernetes://odd: validation_context.allow_expired_certificate: is not supported",
  );
  assert.equal(secrets.certificate("kubernetes://client")?.keyPem, "KEY");
  assert.equal(secrets.trust("kubernetes://client-cacert")?.rootsPem, "ROOTS");
  stream.respond({ typeUrl: secretType, nonce: "3", removedResources: ["kubernetes://client"] });
  await stream.next();
  assert.equal(secrets.certificate("kubernetes://client"), undefined);
});
