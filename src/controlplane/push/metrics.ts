/** Metrics of the discovery server, under the reference's names where it has them. */
import type { Metrics } from "../../shared/telemetry/metrics.ts";

export interface PushMetrics {
  connected(count: number): void;
  pushed(typeUrl: string): void;
  rejected(typeUrl: string): void;
}

export function createPushMetrics(metrics: Metrics): PushMetrics {
  const connections = metrics.gauge({
    name: "pilot_xds",
    help: "Number of clients connected to this control plane over xDS",
  });
  const pushes = metrics.counter({
    name: "pilot_xds_pushes",
    help: "Responses sent to clients, by type",
    labelNames: ["type"],
  });
  const rejects = metrics.counter({
    name: "pilot_total_xds_rejects",
    help: "Responses that clients rejected, by type",
    labelNames: ["type"],
  });
  const short = (typeUrl: string): string => typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
  connections.series().value = 0;
  return {
    connected: (count) => {
      connections.series().value = count;
    },
    pushed: (typeUrl) => {
      pushes.series(short(typeUrl)).value++;
    },
    rejected: (typeUrl) => {
      rejects.series(short(typeUrl)).value++;
    },
  };
}
