/** Who sent a request, as telemetry prints it (wire/waypoint.md section 7.3). */
import type { DownstreamInfo } from "../http/stream.ts";
import type { PeerWorkload } from "../telemetry/record.ts";
import type { WorkloadIndex } from "./index.ts";

/** Clients of another network may have an address that somebody has here too: they are not looked up. */
export function sourcePeers(
  index: WorkloadIndex,
  network: string,
): (downstream: DownstreamInfo) => PeerWorkload | undefined {
  return ({ source, connectHeaders }) => {
    for (const [name, value] of connectHeaders)
      if (name === "x-forwarded-network" && value !== network) return undefined;
    return index.byAddress(source.ip);
  };
}
