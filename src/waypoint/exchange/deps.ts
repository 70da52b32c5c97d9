/** What exchanges need; one object for the life of the program. */
import type { Clock } from "../../shared/base/clock.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { PeerWorkload } from "../telemetry/record.ts";
import type { RequestTelemetry } from "../telemetry/request-telemetry.ts";
import type { Clusters } from "../upstream/upstream.ts";

export interface ExchangeDeps {
  readonly clusters: Clusters;
  readonly telemetry: RequestTelemetry;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  /** The client as the mesh knows it. */
  readonly sourcePeer: (downstream: DownstreamInfo) => PeerWorkload | undefined;
}
