/** `x-request-id`: a UUID whose version digit says what became of the trace, as Envoy packs it. */

/** Where the version digit stands; "4" is an ordinary random UUID. */
const REASON_AT = 14;
const UUID_LENGTH = 36;

export type TraceReason = "none" | "sampled" | "service-forced" | "client-forced";

const digitOf: Readonly<Record<TraceReason, string>> = {
  none: "4",
  sampled: "9",
  "service-forced": "a",
  "client-forced": "b",
};

const reasonOf: ReadonlyMap<string, TraceReason> = new Map([
  ["9", "sampled"],
  ["a", "service-forced"],
  ["b", "client-forced"],
]);

export function traceReason(id: string | undefined): TraceReason {
  return id?.length === UUID_LENGTH ? (reasonOf.get(id[REASON_AT] ?? "") ?? "none") : "none";
}

export function isTraced(id: string | undefined): boolean {
  return traceReason(id) !== "none";
}

/** Ids of other forms carry nothing. */
export function withTraceReason(id: string, reason: TraceReason): string {
  if (id.length !== UUID_LENGTH) return id;
  return id.slice(0, REASON_AT) + digitOf[reason] + id.slice(REASON_AT + 1);
}

/** The same id falls on the same side everywhere: its first 32 bits decide. In [0, 1), in steps of 1/denominator. */
export function idFraction(id: string | undefined, denominator: number): number | undefined {
  if (id === undefined || !/^[0-9a-f]{8}/i.test(id)) return undefined;
  return (Number.parseInt(id.slice(0, 8), 16) % denominator) / denominator;
}
