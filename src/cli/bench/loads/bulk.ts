/** Loads of iperf3: bytes as fast as they go. */
import type { LoadName, Sample } from "../spec.ts";
import { ports } from "../topology.ts";
import { inClient, type LoadContext, metered } from "./context.ts";
import { iperfCommand, iperfWarmUpCommand, parseIperf } from "./iperf.ts";
import { sideSamples } from "./samples.ts";

/** About what this kind of machine moves in the time that other loads warm up. */
const WARM_UP_BYTES_PER_MS = 400_000;

export async function bulk(
  load: LoadName,
  streams: number,
  context: LoadContext,
): Promise<readonly Sample[]> {
  const { stack, spec } = context;
  const target = { host: stack.host, port: ports.bulk, streams };
  const bytes = spec.warmUpMs * WARM_UP_BYTES_PER_MS;
  if (bytes > 0) await context.ground.inClient(iperfWarmUpCommand(target, bytes));
  const command = iperfCommand(target, spec.seconds);
  const { outcome, cost } = await metered(context, async () =>
    parseIperf(await inClient(context, command)),
  );
  const samples: Sample[] = [
    { load, figure: "throughput", unit: "Gbit/s", value: outcome.gbitPerSecond },
  ];
  if (stack.dataPath.length > 0)
    samples.push({
      load,
      figure: "CPU",
      unit: "ms CPU/GB",
      value: cost.dataPathMs / (outcome.bytes / 1e9),
    });
  return [...samples, ...sideSamples(load, cost)];
}
