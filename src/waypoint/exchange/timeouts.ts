/** Which deadlines a forwarded request has (Envoy's FilterUtility::finalTimeout). Pure but for the headers it takes and sets. */
import type { Fields } from "../http/message.ts";
import type { Forward } from "../model/route.ts";
import { grpcTimeoutMs } from "./grpc.ts";

/** 0: none. */
export interface Timeouts {
  readonly totalMs: number;
  readonly perTryMs: number;
  /** Between signs of life of one attempt. */
  readonly perTryIdleMs: number;
}

const noTimeouts: Timeouts = { totalMs: 0, perTryMs: 0, perTryIdleMs: 0 };

export function finalTimeouts(
  forward: Forward,
  fields: Fields,
  grpc: boolean,
  suppressEnvoyHeaders: boolean,
): Timeouts {
  const byGrpc = grpc && forward.maxGrpcTimeoutMs !== undefined;
  const routeMs = byGrpc ? grpcTotalMs(fields, forward.maxGrpcTimeoutMs ?? 0) : forward.timeoutMs;
  const askedTotalMs = takeNumber(fields, "x-envoy-upstream-rq-timeout-ms");
  const askedPerTryMs = takeNumber(fields, "x-envoy-upstream-rq-per-try-timeout-ms");
  const totalMs = askedTotalMs ?? routeMs;
  let perTryMs = askedPerTryMs ?? forward.retry?.perTryTimeoutMs ?? 0;
  const perTryIdleMs = forward.retry?.perTryIdleTimeoutMs ?? 0;
  if (totalMs === 0 && perTryMs === 0)
    return perTryIdleMs === 0 ? noTimeouts : { totalMs, perTryMs, perTryIdleMs };
  if (totalMs > 0 && perTryMs >= totalMs) perTryMs = 0;
  const expectedMs = perTryMs > 0 ? perTryMs : totalMs;
  if (!suppressEnvoyHeaders) fields.set("x-envoy-expected-rq-timeout-ms", String(expectedMs));
  if (byGrpc) fields.set("grpc-timeout", `${expectedMs}m`);
  return { totalMs, perTryMs, perTryIdleMs };
}

/** What the client says, but never more than the route allows; nothing said counts as forever. */
function grpcTotalMs(fields: Fields, maxMs: number): number {
  const askedMs = grpcTimeoutMs(fields) ?? 0;
  return maxMs !== 0 && (askedMs === 0 || askedMs > maxMs) ? maxMs : askedMs;
}

/** Such headers come only from inside; they end here. */
function takeNumber(fields: Fields, name: string): number | undefined {
  const text = fields.get(name);
  if (text === undefined) return undefined;
  fields.remove(name);
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
}
