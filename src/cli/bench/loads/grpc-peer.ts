/**
 * Both ends of the gRPC load, each run as a process of its own by a hidden option of the command: a server that sends back
 * every message of a stream, and a client that sends the next message of each stream when the last has come back.
 */
import {
  Client,
  type ClientDuplexStream,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import { type Clock, systemClock } from "../../../shared/base/clock.ts";
import { type Latency, latencyOf } from "./latency.ts";

export interface GrpcWork {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  readonly streamsEach: number;
  readonly messageBytes: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
}

export interface GrpcOutcome {
  readonly messages: number;
  readonly tookMs: number;
  readonly latency: Latency;
}

const asIs = (bytes: Buffer): Buffer => bytes;

const echo: MethodDefinition<Buffer, Buffer> = {
  path: "/ambit.bench.Echo/Both",
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};

/** Listens on all addresses, until the process ends. */
export async function serveGrpc(port: number): Promise<Server> {
  const server = new Server();
  server.addService(
    { both: echo },
    {
      both: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on("data", (message: Buffer) => call.write(message));
        call.on("end", () => call.end());
        // A client that goes away ends its streams by force.
        call.on("error", () => undefined);
      },
    },
  );
  await new Promise<number>((resolve, reject) => {
    server.bindAsync(`0.0.0.0:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return server;
}

type Stream = ClientDuplexStream<Buffer, Buffer>;

/** Says "begin" when what it measures begins. Rejects when a stream breaks. */
export async function driveGrpc(
  work: GrpcWork,
  say: (text: string) => void,
  clock: Clock = systemClock,
): Promise<GrpcOutcome> {
  const message = Buffer.alloc(work.messageBytes, "x");
  const durationsMs: number[] = [];
  let measuring = false;
  const clients = Array.from(
    { length: work.connections },
    () =>
      new Client(`${work.host}:${work.port}`, credentials.createInsecure(), {
        // Otherwise all clients of a process share one connection.
        "grpc.use_local_subchannel_pool": 1,
      }),
  );
  const streams: Stream[] = [];
  const broken = new Promise<never>((_, reject) => {
    for (const client of clients)
      for (let index = 0; index < work.streamsEach; index++) {
        const stream = client.makeBidiStreamRequest<Buffer, Buffer>(echo.path, asIs, asIs);
        streams.push(stream);
        let sentMs = clock.monotonicMs();
        stream.on("data", () => {
          const nowMs = clock.monotonicMs();
          if (measuring) durationsMs.push(nowMs - sentMs);
          sentMs = nowMs;
          stream.write(message);
        });
        stream.on("error", reject);
        stream.write(message);
      }
  });
  broken.catch(() => undefined);
  try {
    await Promise.race([clock.sleep(Math.max(work.warmUpMs, 100)), broken]);
    const beganMs = clock.monotonicMs();
    say("begin\n");
    measuring = true;
    await Promise.race([clock.sleep(work.measuredMs), broken]);
    measuring = false;
    const tookMs = clock.monotonicMs() - beganMs;
    if (durationsMs.length === 0) throw new Error("no message came back");
    return { messages: durationsMs.length, tookMs, latency: latencyOf(durationsMs) };
  } finally {
    for (const stream of streams) stream.cancel();
    for (const client of clients) client.close();
  }
}
