/** How long to wait after a stream has ended, and how the end is counted (wire/ztunnel.md section 1.4). */
import type { TerminationReason } from "./types.ts";

/** How a stream ended. */
export type StreamEnd =
  /** It never opened: no connection, or refused before the first answer. */
  | { readonly kind: "not-opened"; readonly error: string }
  /** The server (or the connection below) ended it with a gRPC status. */
  | { readonly kind: "status"; readonly code: number; readonly details: string }
  /** We ended it because something failed on our side. */
  | { readonly kind: "failed"; readonly error: string }
  | { readonly kind: "complete" };

export interface ReconnectPlan {
  readonly waitMs: number;
  readonly nextBackoffMs: number;
  readonly reason: TerminationReason;
}

export const initialBackoffMs = 10;
const maxBackoffMs = 15_000;

const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

/** Ends that belong to the normal life of a connection: a control plane that restarts or limits connection age. */
function isRoutine(code: number, details: string): boolean {
  if (code === UNKNOWN || code === CANCELLED || code === DEADLINE_EXCEEDED) return true;
  if (code !== UNAVAILABLE) return false;
  // The two texts are the reference's; the third is what grpc-js says when the connection below goes away.
  return /transport is closing|received prior goaway|connection dropped/i.test(details);
}

/**
 * The reference reconnects at once after a clean end or a failure of its own, even when the server ends every stream before
 * its first response; that would be a busy loop, so a stream without any response backs off like an error.
 */
export function planReconnect(
  end: StreamEnd,
  backoffMs: number,
  receivedAny: boolean,
): ReconnectPlan {
  const doubled = Math.min(maxBackoffMs, backoffMs * 2);
  const slow = (reason: TerminationReason): ReconnectPlan => ({
    waitMs: doubled,
    nextBackoffMs: doubled,
    reason,
  });
  const atOnce = (reason: TerminationReason): ReconnectPlan =>
    receivedAny ? { waitMs: 0, nextBackoffMs: initialBackoffMs, reason } : slow(reason);
  switch (end.kind) {
    case "not-opened":
      return slow("ConnectionError");
    case "status":
      return isRoutine(end.code, end.details)
        ? { waitMs: initialBackoffMs, nextBackoffMs: initialBackoffMs, reason: "Reconnect" }
        : slow("Error");
    case "failed":
      return atOnce("Error");
    case "complete":
      return atOnce("Complete");
  }
}

export function describeEnd(end: StreamEnd): string {
  switch (end.kind) {
    case "not-opened":
      return `cannot open the stream: ${end.error}`;
    case "status":
      return `the stream ended with gRPC status ${end.code}: ${end.details}`;
    case "failed":
      return end.error;
    case "complete":
      return "the stream ended";
  }
}
