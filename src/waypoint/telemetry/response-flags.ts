/** Envoy's response flags: short and long names, the bits of `response.flags`, and the order in which they print. */
import type { ResponseFlag } from "../http/message.ts";

/** In the order of Envoy's bits, which is also the order in which several flags print. */
const flags: readonly (readonly [ResponseFlag, string])[] = [
  ["LH", "FailedLocalHealthCheck"],
  ["UH", "NoHealthyUpstream"],
  ["UT", "UpstreamRequestTimeout"],
  ["LR", "LocalReset"],
  ["UR", "UpstreamRemoteReset"],
  ["UF", "UpstreamConnectionFailure"],
  ["UC", "UpstreamConnectionTermination"],
  ["UO", "UpstreamOverflow"],
  ["NR", "NoRouteFound"],
  ["DI", "DelayInjected"],
  ["FI", "FaultInjected"],
  ["RL", "RateLimited"],
  ["UAEX", "UnauthorizedExternalService"],
  ["RLSE", "RateLimitServiceError"],
  ["DC", "DownstreamConnectionTermination"],
  ["URX", "UpstreamRetryLimitExceeded"],
  ["SI", "StreamIdleTimeout"],
  ["IH", "InvalidEnvoyRequestHeaders"],
  ["DPE", "DownstreamProtocolError"],
  ["UMSDR", "UpstreamMaxStreamDurationReached"],
  // The response came from a cache filter.
  ["RFCF" as ResponseFlag, "ResponseFromCacheFilter"],
  ["NFCF", "NoFilterConfigFound"],
  ["DT", "DurationTimeout"],
  ["UPE", "UpstreamProtocolError"],
  ["NC", "NoClusterFound"],
  ["OM", "OverloadManagerTerminated"],
  ["DF", "DnsResolutionFailed"],
  ["DO", "DropOverload"],
  ["DR", "DownstreamRemoteReset"],
  ["UDO", "UnconditionalDropOverload"],
];

const position: ReadonlyMap<ResponseFlag, number> = new Map(
  flags.map(([short], index) => [short, index]),
);

export function isResponseFlag(text: string): text is ResponseFlag {
  return position.has(text as ResponseFlag);
}

function sorted(given: readonly ResponseFlag[]): readonly ResponseFlag[] {
  if (given.length < 2) return given;
  return [...new Set(given)].sort((a, b) => (position.get(a) ?? 99) - (position.get(b) ?? 99));
}

/** `UF,URX`; `-` without flags. */
export function shortFlags(given: readonly ResponseFlag[]): string {
  const [only = "-"] = given;
  return given.length < 2 ? only : sorted(given).join(",");
}

export function longFlags(given: readonly ResponseFlag[]): string {
  if (given.length === 0) return "-";
  return sorted(given)
    .map((flag) => flags[position.get(flag) ?? -1]?.[1] ?? flag)
    .join(",");
}

/** The bits as an integer. */
export function flagBits(given: readonly ResponseFlag[]): bigint {
  let bits = 0n;
  for (const flag of given) bits |= 1n << BigInt(position.get(flag) ?? 63);
  return bits;
}
