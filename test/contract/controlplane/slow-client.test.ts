/** A client that does not read costs a bounded amount and gets the newest state when it does. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { startControlPlane } from "../../../src/controlplane/app.ts";
import { deltaResourcesMethod } from "../../../src/controlplane/push/discovery-server.ts";
import { addressType } from "../../../src/controlplane/push/types.ts";
import { defaultMeshSettings } from "../../../src/controlplane/translate/settings.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { createLogger, LogFilter } from "../../../src/shared/telemetry/logger.ts";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { decodeAddress } from "../../support/decode-address.ts";
import { ztunnelNode } from "../../support/delta-client.ts";
import { pod } from "../../support/translate.ts";

const PODS = 3000;
const ROUNDS = 15;

test("newest state wins", async (context) => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-slow-"));
  context.after(() => rmSync(dir, { recursive: true }));
  const write = (round: number): void => {
    const pods = Array.from({ length: PODS }, (_, i) =>
      pod(`p${i}`, {
        labels: { app: `p${i}`, version: i < 2 ? `v${round}` : "v0" },
        status: { podIP: `10.${i >> 8}.${i & 255}.1` },
      }),
    );
    writeFileSync(join(dir, "draft"), pods.join("\n---\n"));
    renameSync(join(dir, "draft"), join(dir, "objects.yaml"));
  };
  write(0);
  const any = { host: "127.0.0.1", port: 0 };
  const log = createLogger(
    { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
    "test",
  );
  const running = await startControlPlane(
    { clock: systemClock, log },
    {
      configPath: join(dir, "objects.yaml"),
      stateDir: join(dir, "state"),
      grpc: any,
      secureGrpc: any,
      http: any,
      monitoring: any,
      mesh: defaultMeshSettings,
      maxConnectionAgeMs: 60_000,
    },
  );
  context.after(() => running.stop());
  const page = async (path: string) =>
    JSON.parse(await (await fetch(`http://127.0.0.1:${running.ports.http}${path}`)).text());
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    for (
      const deadline = Date.now() + 10_000;
      !(await holds());
      await new Promise((done) => setTimeout(done, 20))
    )
      if (Date.now() > deadline) throw new Error("did not happen in time");
  };
  const report = async () => (await page("/debug/connections")).connections[0]?.types[0];

  const client = new RawClient(running.ports.grpc);
  context.after(() => client.close());
  client.send({ typeUrl: addressType, node: ztunnelNode });
  await until(async () => (await report())?.pushes === 1);
  for (let round = 1; round <= ROUNDS; round++) {
    const { revision } = await page("/debug/snapshot");
    write(round);
    await until(async () => (await page("/debug/snapshot")).revision > revision);
  }
  const waiting = await report();
  assert.deepEqual(
    [waiting.pushes, waiting.waitingNames],
    [1, 2],
    "one message under way, two names behind it",
  );

  client.read();
  await until(async () => client.received.length === 2);
  assert.equal(client.received[0]?.resources.length, PODS);
  const revisions = client.received[1]?.resources.map(({ resource }) => {
    const { type } = decodeAddress(resource?.value);
    return type.case === "workload" ? type.value.canonicalRevision : "";
  });
  assert.deepEqual(revisions, [`v${ROUNDS}`, `v${ROUNDS}`]);
  await until(async () => (await report())?.waitingNames === 0);
  assert.equal(client.received.length, 2);
});

/** gRPC by hand on node:http2: grpc-js's own client reads ahead even while it is paused. */
class RawClient {
  readonly received: DeltaDiscoveryResponse[] = [];
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  #buffered = Buffer.alloc(0);

  constructor(port: number) {
    this.#session = connect(`http://127.0.0.1:${port}`);
    this.#stream = this.#session.request({
      ":method": "POST",
      ":path": deltaResourcesMethod.path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    this.#stream.on("error", () => undefined);
    this.#session.on("error", () => undefined);
  }

  send(fields: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const message = toBinary(
      DeltaDiscoveryRequestSchema,
      create(DeltaDiscoveryRequestSchema, fields),
    );
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    this.#stream.write(Buffer.concat([prefix, message]));
  }

  /** Begins to read; until then the flow control window stays full. */
  read(): void {
    this.#stream.on("data", (data: Buffer) => {
      this.#buffered = Buffer.concat([this.#buffered, data]);
      while (this.#buffered.length >= 5) {
        const end = 5 + this.#buffered.readUInt32BE(1);
        if (this.#buffered.length < end) return;
        this.received.push(
          fromBinary(DeltaDiscoveryResponseSchema, this.#buffered.subarray(5, end)),
        );
        this.#buffered = this.#buffered.subarray(end);
      }
    });
  }

  close(): void {
    this.#session.destroy();
  }
}
