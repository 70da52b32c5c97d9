/** The rehearsal as a step of a thread's start: never in its way. */
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { hostNetwork } from "../../shared/os/pod-network.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { ZtunnelConfig } from "../config.ts";
import { rehearse } from "./rehearse.ts";

export interface PrepareDeps {
  readonly config: ZtunnelConfig;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Resolves when the data path has rehearsed, or could not; the log says which. */
export async function prepareDataPath(deps: PrepareDeps, logger: Logger): Promise<void> {
  const { clock } = deps;
  const budgetMs = deps.config.rehearsalMs;
  if (budgetMs === 0) return;
  const startedMs = clock.monotonicMs();
  try {
    const done = await rehearse({ ...deps, network: hostNetwork(clock), budgetMs });
    const took = `${Math.round(clock.monotonicMs() - startedMs)}ms`;
    logger.debug("data path rehearsed", { ...done, took });
  } catch (thrown) {
    logger.warn("data path could not rehearse", { error: describeError(thrown) });
  }
}
