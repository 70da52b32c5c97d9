/** The revocation lists of CRL_PATH, as each thread holds them against its peers. */
import type { Clock } from "../shared/base/clock.ts";
import { RevocationFile, type TlsRole } from "../shared/identity/revocation.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import type { TrafficMetrics } from "./telemetry/metrics.ts";
import type { Reporter } from "./telemetry/traffic.ts";

/** Count peers refused or cut because their certificate is revoked, and connections that cannot be looked up in the lists. */
export type RevocationMetrics = Pick<TrafficMetrics, "crlRejections" | "crlUntracked">;

export interface RevocationOptions {
  /** CRL_PATH. */
  readonly crlPath: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: RevocationMetrics;
}

function reporterOf(role: TlsRole): Reporter {
  return role === "client" ? "source" : "destination";
}

/** Undefined without a file. */
export function openRevocation(options: RevocationOptions): RevocationFile | undefined {
  const { crlPath, clock, log, metrics } = options;
  if (crlPath === undefined) return undefined;
  return new RevocationFile({
    path: crlPath,
    clock,
    log,
    onRejected: (role) => {
      metrics.crlRejections(reporterOf(role)).value++;
    },
    onUntracked: (role) => {
      metrics.crlUntracked(reporterOf(role)).value++;
    },
  });
}
