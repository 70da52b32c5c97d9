/** Long gRPC streams: each end is a process of its own, and the message is what is counted. */
import type { Sample } from "../spec.ts";
import { ports } from "../topology.ts";
import { beginMeter, type LoadContext } from "./context.ts";
import type { GrpcOutcome } from "./grpc-peer.ts";
import { requestSamples } from "./samples.ts";

const BEGIN_DEADLINE_MS = 10_000;

export async function grpcStreams(context: LoadContext): Promise<readonly Sample[]> {
  const { ground, stack, spec } = context;
  await ground.startGrpcServer(spec.own);
  const work = {
    host: stack.host,
    port: ports.grpc,
    connections: 4,
    streamsEach: 8,
    messageBytes: 1_024,
    warmUpMs: spec.warmUpMs,
    measuredMs: spec.seconds * 1_000,
  };
  const client = ground.world.start(ground.pod("client").netns, {
    name: "gRPC client",
    command: [...ground.partOf(spec.own), "--grpc-client", JSON.stringify(work)],
  });
  try {
    await client.waitForLine(
      (line) => line === "begin",
      BEGIN_DEADLINE_MS + work.warmUpMs,
      "that all streams are open",
    );
    const generatorMs = ground.cpuMsOf(client);
    const measured = beginMeter(context);
    const line = await client.waitForLine(
      (text) => text.startsWith("{"),
      BEGIN_DEADLINE_MS + work.measuredMs,
      "how long its messages took",
    );
    const cost = { ...measured(), generatorMs: ground.cpuMsOf(client) - generatorMs };
    const { messages, tookMs, latency } = JSON.parse(line) as GrpcOutcome;
    const perSecond = (messages * 1_000) / tookMs;
    return requestSamples("grpc", { count: messages, perSecond, latency }, cost, "us CPU/message");
  } finally {
    await client.stop("SIGKILL");
  }
}
