/** Reads the access log of a ztunnel (LOG_FORMAT=json; wire/ztunnel.md section 9.1). Pure. */

export interface AccessEntry {
  /** The node whose ztunnel wrote it. */
  readonly node: string;
  readonly direction: "inbound" | "outbound";
  readonly sourceAddress: string;
  readonly sourceWorkload: string | undefined;
  readonly sourceIdentity: string | undefined;
  readonly destinationAddress: string;
  /** Set when the connection went through a tunnel. */
  readonly hboneAddress: string | undefined;
  readonly destinationService: string | undefined;
  readonly destinationWorkload: string | undefined;
  readonly destinationIdentity: string | undefined;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly error: string | undefined;
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

function numberOf(fields: Readonly<Record<string, unknown>>, name: string): number {
  const value = fields[name];
  return typeof value === "number" ? value : 0;
}

function parseFields(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

/** Undefined for lines that report no finished or failed connection. */
export function parseAccessLine(node: string, line: string): AccessEntry | undefined {
  const fields = parseFields(line);
  if (fields?.["scope"] !== "access") return undefined;
  const message = fields["message"];
  if (message !== "connection complete" && message !== "connection failed") return undefined;
  const direction = textOf(fields, "direction");
  if (direction !== "inbound" && direction !== "outbound") return undefined;
  return {
    node,
    direction,
    sourceAddress: textOf(fields, "src.addr") ?? "",
    sourceWorkload: textOf(fields, "src.workload"),
    sourceIdentity: textOf(fields, "src.identity"),
    destinationAddress: textOf(fields, "dst.addr") ?? "",
    hboneAddress: textOf(fields, "dst.hbone_addr"),
    destinationService: textOf(fields, "dst.service"),
    destinationWorkload: textOf(fields, "dst.workload"),
    destinationIdentity: textOf(fields, "dst.identity"),
    bytesSent: numberOf(fields, "bytes_sent"),
    bytesReceived: numberOf(fields, "bytes_recv"),
    error: textOf(fields, "error"),
  };
}

/** The log does not name the policy that closed a connection that was open. */
export const CLOSED_BY_CHANGE = "policy change";

/** Whether a policy ended or refused the connection, and which, in the words of the log. */
export function policyVerdict(entry: AccessEntry): string | undefined {
  const { error } = entry;
  if (error === undefined || !error.includes("policy")) return undefined;
  const named = /explicitly denied by: (\S+)/.exec(error)?.[1];
  if (named !== undefined) return named;
  return error.includes("allow policies exist") ? "no allow policy matches" : CLOSED_BY_CHANGE;
}
