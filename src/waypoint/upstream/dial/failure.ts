/** Failures of connecting, in the words that Envoy's logs use. */
import { describeError, MeshError } from "../../../shared/base/errors.ts";
import { isDialTimeout } from "../../../shared/os/pod-network.ts";
import { UpstreamError, type UpstreamFailure } from "../upstream.ts";

/** strerror of what connecting can fail with. */
const texts: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTUNREACH: "No route to host",
  ENETUNREACH: "Network is unreachable",
  ETIMEDOUT: "Connection timed out",
  EADDRNOTAVAIL: "Cannot assign requested address",
  EACCES: "Permission denied",
};

export function upstreamError(kind: UpstreamFailure["kind"], reason: string): UpstreamError {
  return new UpstreamError({ kind, reason });
}

/** Maps whatever a step threw, once. */
export function asUpstreamError(thrown: unknown): UpstreamError {
  if (thrown instanceof UpstreamError) return thrown;
  if (isDialTimeout(thrown)) return upstreamError("connect-timeout", "");
  const code = errnoOf(thrown);
  if (code !== undefined)
    return upstreamError("connect-failed", `delayed connect error: ${texts[code] ?? code}`);
  return upstreamError(kindOf(thrown), describeError(thrown));
}

function kindOf(thrown: unknown): UpstreamFailure["kind"] {
  if (!(thrown instanceof MeshError)) return "connect-failed";
  switch (thrown.code) {
    case "tls-failed":
    case "certificate-revoked":
    case "identity-unavailable":
      return "tls-failed";
    case "connect-refused-status":
      return "tunnel-refused";
    default:
      return "connect-failed";
  }
}

function errnoOf(thrown: unknown): string | undefined {
  let current: unknown = thrown;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    if (current instanceof MeshError && current.code === "tls-failed") return undefined;
    const { code }: NodeJS.ErrnoException = current;
    if (typeof code === "string" && /^E[A-Z]+$/.test(code)) return code;
    current = current.cause;
  }
  return undefined;
}
