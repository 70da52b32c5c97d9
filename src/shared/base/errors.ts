/**
 * The one error catalogue. Every failure that decides about a connection carries a code from here; the code says whose
 * fault it is, whether trying again can help, and which response flag stands in metrics (wire/ztunnel.md section 9.2).
 */

/** Whose side failed, seen from this proxy. */
export type ErrorSource = "downstream" | "upstream" | "internal";

/** Whether the same thing may be tried again. */
export type Retry = "yes" | "no" | "if-reused";

/** Value of the `response_flags` label. */
export type ResponseFlag =
  | "-"
  | "DENY"
  | "CONNECT"
  | "TLS_FAILURE"
  | "H2_HANDSHAKE_FAILURE"
  | "NETWORK_POLICY"
  | "IDENTITY_ERROR"
  | "CERT_REVOKED";

interface CatalogEntry {
  readonly source: ErrorSource;
  readonly retry: Retry;
  readonly flag: ResponseFlag;
}

const catalog = {
  /** Authorization refused the connection. */
  "policy-denied": { source: "downstream", retry: "no", flag: "DENY" },
  /** A policy push closed an open connection. */
  "policy-changed": { source: "downstream", retry: "no", flag: "DENY" },
  /** The connection was addressed to one of the proxy's own ports. */
  "self-call": { source: "downstream", retry: "no", flag: "CONNECT" },
  /** The pod's own workload record did not arrive in time. */
  "unknown-workload": { source: "internal", retry: "yes", flag: "CONNECT" },
  /** A service was addressed, but none of its endpoints can take the connection. */
  "no-healthy-upstream": { source: "upstream", retry: "yes", flag: "CONNECT" },
  /** A waypoint is demanded but cannot be resolved. Never bypassed. */
  "unknown-waypoint": { source: "internal", retry: "yes", flag: "CONNECT" },
  /** A network gateway is needed but cannot be resolved. */
  "unknown-network-gateway": { source: "internal", retry: "yes", flag: "CONNECT" },
  /** The network of the destination has no way there. */
  "no-route": { source: "internal", retry: "no", flag: "CONNECT" },
  /** TCP connect failed. */
  "connect-failed": { source: "upstream", retry: "yes", flag: "CONNECT" },
  /** TCP connect to the HBONE port ran into its deadline. */
  "connect-timeout-hbone": { source: "upstream", retry: "yes", flag: "NETWORK_POLICY" },
  /** The tunnel peer answered CONNECT with something other than 200. */
  "connect-refused-status": { source: "upstream", retry: "no", flag: "CONNECT" },
  /** TLS handshake or peer verification failed. */
  "tls-failed": { source: "upstream", retry: "no", flag: "TLS_FAILURE" },
  /** The HTTP/2 handshake failed after TLS. */
  "h2-handshake-failed": { source: "upstream", retry: "yes", flag: "H2_HANDSHAKE_FAILURE" },
  /** An established HTTP/2 session or stream broke. */
  "h2-failed": { source: "upstream", retry: "if-reused", flag: "CONNECT" },
  /** Our own certificate cannot be had. */
  "identity-unavailable": { source: "internal", retry: "yes", flag: "IDENTITY_ERROR" },
  /** The peer's certificate is on a revocation list. */
  "certificate-revoked": { source: "upstream", retry: "no", flag: "CERT_REVOKED" },
  /** A request that is not a well-formed CONNECT. */
  "bad-connect": { source: "downstream", retry: "no", flag: "CONNECT" },
  /** CONNECT names an address that is not this pod's. */
  "destination-mismatch": { source: "downstream", retry: "no", flag: "CONNECT" },
  /** CONNECT names a host or port nobody knows here. */
  "unknown-destination": { source: "downstream", retry: "no", flag: "CONNECT" },
  /** Reading from or writing to a socket failed after establishment. */
  "io-failed": { source: "internal", retry: "no", flag: "CONNECT" },
  /** The proxy shuts down, or the pod left. */
  drained: { source: "internal", retry: "yes", flag: "CONNECT" },
  /** A system call or resource of the node failed. */
  "system-failed": { source: "internal", retry: "yes", flag: "CONNECT" },
} as const satisfies Record<string, CatalogEntry>;

export type ErrorCode = keyof typeof catalog;

/** All codes, for the test that keeps the catalogue and the documentation together. */
export const errorCodes: readonly ErrorCode[] = Object.keys(catalog) as ErrorCode[];

export class MeshError extends Error {
  override readonly name = "MeshError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get source(): ErrorSource {
    return catalog[this.code].source;
  }

  get retry(): Retry {
    return catalog[this.code].retry;
  }

  get flag(): ResponseFlag {
    return catalog[this.code].flag;
  }
}

/** The message of any thrown value, with the messages of its causes behind it. */
export function describeError(thrown: unknown): string {
  const parts: string[] = [];
  let current: unknown = thrown;
  for (let depth = 0; current !== undefined && depth < 5; depth++) {
    if (current instanceof Error) {
      const { message, cause }: Error = current;
      if (!parts.some((part) => part.includes(message))) parts.push(message);
      current = cause;
    } else {
      parts.push(String(current));
      current = undefined;
    }
  }
  return parts.join(": ");
}

/** Maps any thrown value once, at the boundary where it enters our code. */
export function asMeshError(thrown: unknown, code: ErrorCode, prefix?: string): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const text = describeError(thrown);
  return new MeshError(code, prefix ? `${prefix}: ${text}` : text, { cause: thrown });
}
