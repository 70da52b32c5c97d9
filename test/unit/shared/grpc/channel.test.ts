import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { ServerCredentials } from "@grpc/grpc-js";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { callMetadata, readRoots } from "../../../../src/shared/grpc/channel.ts";
import type { GrpcEndpointOptions } from "../../../../src/shared/grpc/types.ts";
import { type Issuer, issueLeaf, type LeafNames } from "../../../../src/shared/identity/issue.ts";
import {
  SO_KEEPALIVE,
  SOL_SOCKET,
  SOL_TCP,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
} from "../../../../src/shared/os/constants.ts";
import { descriptorOf } from "../../../../src/shared/os/descriptor.ts";
import { getInt } from "../../../../src/shared/os/socket-options.ts";
import { openDeltaStream } from "../../../../src/shared/xds/delta-stream.ts";
import type { StreamEnd } from "../../../../src/shared/xds/reconnect.ts";
import { addressType } from "../../../../src/shared/xds/types.ts";
import { FakeControlPlane } from "../../../support/fake-control-plane.ts";
import { aroundNow, newRoot } from "../identity/pki.ts";

const folder = mkdtempSync(join(tmpdir(), "ambit-grpc-"));
const root = newRoot("right");
const stranger = newRoot("wrong");
const rootFile = join(folder, "root.pem");
const servers: FakeControlPlane[] = [];

before(() => writeFileSync(rootFile, root.certificate.pem));
after(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  for (const server of servers.splice(0)) server.stop();
});

/** A server with a certificate for these names; returns its port. */
async function serve(names: LeafNames, issuer: Issuer = root): Promise<FakeControlPlane> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const leaf = issueLeaf(issuer, publicKey, names, aroundNow());
  const key = privateKey.export({ type: "pkcs8", format: "pem" });
  const server = new FakeControlPlane();
  servers.push(server);
  await server.start(
    ServerCredentials.createSsl(null, [
      { cert_chain: Buffer.from(leaf.pem), private_key: Buffer.from(key) },
    ]),
  );
  return server;
}

/** Opens a stream and says how that went: "open", or the reason why not. */
async function attempt(
  server: FakeControlPlane,
  options: Partial<GrpcEndpointOptions> & { host?: string } = {},
): Promise<string> {
  const { host = "localhost", ...rest } = options;
  const endpoint: GrpcEndpointOptions = {
    address: `https://${host}:${server.port}`,
    rootCa: rootFile,
    clusterId: "c",
    headers: new Map(),
    ...rest,
  };
  const before = server.opened;
  let end: StreamEnd | undefined;
  const stream = openDeltaStream(endpoint, systemClock, {
    onResponse: () => undefined,
    onEnd: (reason) => {
      end = reason;
    },
  });
  try {
    stream.send({ typeUrl: addressType });
    while (end === undefined && server.opened === before) await systemClock.sleep(2);
    if (end === undefined) return "open";
    return end.kind === "not-opened" ? end.error : end.kind;
  } finally {
    stream.close();
  }
}

describe("the server's certificate", () => {
  test("for the host of the address is accepted", async () => {
    assert.equal(await attempt(await serve({ dns: ["localhost"] })), "open");
  });

  test("for another name is refused", async () => {
    const outcome = await attempt(await serve({ dns: ["istiod.istio-system.svc"] }));
    assert.match(outcome, /does not match certificate's altnames|Hostname\/IP/);
  });

  test("for the alternative name is accepted", async () => {
    const server = await serve({ dns: ["istiod.istio-system.svc"] });
    assert.equal(await attempt(server, { altHostname: "istiod.istio-system.svc" }), "open");
    assert.notEqual(await attempt(server, { altHostname: "other.svc" }), "open");
  });

  test("for an address", async () => {
    const server = await serve({ ips: [Uint8Array.of(127, 0, 0, 1)] });
    assert.equal(await attempt(server, { host: "127.0.0.1" }), "open");
    assert.notEqual(await attempt(server), "open");
  });

  test("of another authority is refused, alternative name or not", async () => {
    const server = await serve({ dns: ["localhost"] }, stranger);
    const outcome = await attempt(server, { altHostname: "localhost" });
    assert.match(outcome, /self[- ]signed certificate|unable to (verify|get)/i);
  });

  test("roots may be PEM text, and are read anew for each stream", async () => {
    const server = await serve({ dns: ["localhost"] }, stranger);
    assert.equal(await attempt(server, { rootCa: stranger.certificate.pem }), "open");
    const path = join(folder, "rotating.pem");
    writeFileSync(path, root.certificate.pem);
    assert.notEqual(await attempt(server, { rootCa: path }), "open");
    writeFileSync(path, root.certificate.pem + stranger.certificate.pem);
    assert.equal(await attempt(server, { rootCa: path }), "open");
  });
});

test("a plaintext server is no TLS server, and the other way round", async () => {
  const plain = new FakeControlPlane();
  servers.push(plain);
  await plain.start();
  assert.notEqual(await attempt(plain), "open");
  const secure = await serve({ dns: ["localhost"] });
  assert.notEqual(await attempt(secure, { address: `http://localhost:${secure.port}` }), "open");
});

/** Sockets of this process towards a port, by their descriptors. */
function descriptorsTo(port: number): number[] {
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
  return handles
    .filter((handle) => handle instanceof Socket && handle.remotePort === port)
    .flatMap((handle) => descriptorOf(handle as Socket) ?? []);
}

for (const secure of [true, false])
  test(`TCP keepalive on the connection, ${secure ? "TLS" : "plaintext"}`, async () => {
    const server = secure ? await serve({ dns: ["localhost"] }) : new FakeControlPlane();
    if (!secure) {
      servers.push(server);
      await server.start();
    }
    const stream = openDeltaStream(
      {
        address: `${secure ? "https" : "http"}://localhost:${server.port}`,
        rootCa: rootFile,
        clusterId: "c",
        headers: new Map(),
      },
      systemClock,
      { onResponse: () => undefined, onEnd: () => undefined },
    );
    stream.send({ typeUrl: addressType });
    while (server.opened === 0) await systemClock.sleep(2);
    const [fd = assert.fail("no socket"), ...more] = descriptorsTo(server.port);
    assert.deepEqual(more, []);
    const read = (level: number, name: number) => getInt(fd, level, name);
    assert.equal(read(SOL_SOCKET, SO_KEEPALIVE), 1);
    assert.deepEqual(
      [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT].map((name) => read(SOL_TCP, name)),
      [300, 75, 9],
    );
    stream.close();
  });

test("a path without a file is neither a root nor a token", () => {
  assert.throws(() => readRoots(join(folder, "missing.pem")), /there is no file "/);
  const headersFor = (authToken: string): unknown =>
    callMetadata({ address: "", rootCa: "", clusterId: "c", headers: new Map(), authToken }).get(
      "authorization",
    );
  assert.throws(() => headersFor(join(folder, "missing")), /there is no file/);
  assert.deepEqual(headersFor("header.payload.signature"), ["Bearer header.payload.signature"]);
});
