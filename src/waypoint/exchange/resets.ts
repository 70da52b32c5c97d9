/** How a failed attempt is called in logs and answers: Envoy's words (source/common/http/utility.cc, router.cc). */
import type { ResponseFlag } from "../http/message.ts";
import type { ResetReason } from "../http/stream.ts";
import type { UpstreamFailure } from "../upstream/upstream.ts";

/** Why an attempt failed before its answer, or in the middle of it. */
export type Failure =
  | { readonly kind: "connection-failure"; readonly reason: string }
  | { readonly kind: "connection-timeout"; readonly reason: string }
  | { readonly kind: "overflow" }
  | { readonly kind: "connection-termination" }
  | { readonly kind: "remote-reset" }
  | { readonly kind: "refused" }
  | { readonly kind: "protocol-error"; readonly reason: string }
  | { readonly kind: "local-reset" }
  /** We gave up on this attempt alone. */
  | { readonly kind: "per-try-timeout" };

interface Words {
  readonly text: string;
  readonly flag: ResponseFlag;
  readonly status: number;
}

const words: Readonly<Record<Failure["kind"], Words>> = {
  "connection-failure": { text: "remote connection failure", flag: "UF", status: 503 },
  "connection-timeout": { text: "connection timeout", flag: "UF", status: 503 },
  overflow: { text: "overflow", flag: "UO", status: 503 },
  "connection-termination": { text: "connection termination", flag: "UC", status: 503 },
  "remote-reset": { text: "remote reset", flag: "UR", status: 503 },
  refused: { text: "remote refused stream reset", flag: "UR", status: 503 },
  "protocol-error": { text: "protocol error", flag: "UPE", status: 502 },
  "local-reset": { text: "local reset", flag: "LR", status: 503 },
  "per-try-timeout": { text: "local reset", flag: "UT", status: 504 },
};

export function flagOf(failure: Failure): ResponseFlag {
  return words[failure.kind].flag;
}

export function statusOf(failure: Failure): number {
  return words[failure.kind].status;
}

export function failureOfReset(reason: ResetReason): Failure {
  switch (reason.kind) {
    case "remote-reset":
      return { kind: "remote-reset" };
    case "refused":
      return { kind: "refused" };
    case "connection-lost":
      return { kind: "connection-termination" };
    case "protocol-error":
      return { kind: "protocol-error", reason: reason.detail };
    case "local":
      return { kind: "local-reset" };
  }
}

export function failureOfUnavailable({ kind, reason }: UpstreamFailure): Failure {
  if (kind === "overflow") return { kind: "overflow" };
  if (kind === "connect-timeout") return { kind: "connection-timeout", reason };
  return { kind: "connection-failure", reason };
}

/** %UPSTREAM_TRANSPORT_FAILURE_REASON%. */
export function transportReason(failure: Failure): string | undefined {
  if (failure.kind === "connection-failure" || failure.kind === "connection-timeout")
    return failure.reason === "" ? undefined : failure.reason;
  return undefined;
}

/** `upstream_reset_before_response_started{connection_termination}`. */
export function resetDetails(failure: Failure, started: boolean): string {
  const when = started ? "after_response_started" : "before_response_started";
  const reason = transportReason(failure);
  const inside = words[failure.kind].text + (reason === undefined ? "" : `|${reason}`);
  return `upstream_reset_${when}{${inside}}`.replaceAll(" ", "_");
}

export function resetBody(failure: Failure, retried: boolean): string {
  const latest = retried ? "retried and the latest " : "";
  return `upstream connect error or disconnect/reset before headers. ${latest}reset reason: ${words[failure.kind].text}`;
}
