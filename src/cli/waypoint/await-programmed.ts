/** Waits until a waypoint is ready, by looking again and again at what the objects say. */
import type { Clock } from "../../shared/base/clock.ts";
import { CommandFailure } from "../command.ts";
import { programmedConditions } from "./mesh-view.ts";

const POLL_MS = 1000;

/** `key`: of the Gateway. Throws when the time is over. */
export async function awaitProgrammed(
  config: string,
  { key, name }: { readonly key: string; readonly name: string },
  { clock, timeoutMs, signal }: { clock: Clock; timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const condition = (await programmedConditions(config)).get(key);
    if (condition?.status === "True") return;
    if (clock.monotonicMs() + POLL_MS > endMs) {
      const why = condition === undefined ? "it is not there" : condition.message;
      throw new CommandFailure(`timed out while waiting for waypoint ${name}: ${why}`);
    }
    await clock.sleep(POLL_MS, signal);
  }
}
