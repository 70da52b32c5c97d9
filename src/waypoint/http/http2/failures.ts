/** How a connection ends by mistake: what its streams are told, and what the peer is. */
import { ConnectionError, errorCode } from "../../../shared/hbone/http2/errors.ts";
import type { ResetReason } from "../stream.ts";

export function lost(detail: string): ResetReason {
  return { kind: "connection-lost", detail, reused: false };
}

/** RFC 9113 section 5.1: nothing but HEADERS opens a stream. */
export function idle(frame: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, `${frame} on an idle stream`);
}
