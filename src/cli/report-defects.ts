/** Defects that only one connection or request pays for. */
import { describeError } from "../shared/base/errors.ts";
import type { Logger } from "../shared/telemetry/logger.ts";

/** From now on what nobody caught is logged, on the calling thread, which goes on. */
export function reportDefects(logger: Logger): void {
  const report = (thrown: unknown): void =>
    logger.error("unexpected error", {
      error: describeError(thrown),
      stack: thrown instanceof Error ? thrown.stack : undefined,
    });
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}
