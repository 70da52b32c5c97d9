/** What gRPC changes for a proxy: how errors are told, what status means, and how messages are counted. */
import type { Fields } from "../http/message.ts";

/** `application/grpc`, `application/grpc+proto`; not grpc-web. */
export function isGrpc(fields: Fields): boolean {
  const type = fields.get("content-type");
  if (type === undefined || !type.startsWith("application/grpc")) return false;
  return type.length === 16 || type[16] === "+";
}

/** Statuses that Envoy maps by name; all others are UNKNOWN (2). */
const statusOfHttp: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);

export function grpcStatusOf(httpStatus: number): number {
  return statusOfHttp.get(httpStatus) ?? 2;
}

/** The number in `grpc-status`, if it is one. */
export function grpcStatusIn(fields: Fields | undefined): number | undefined {
  const text = fields?.get("grpc-status");
  return text !== undefined && /^[0-9]{1,4}$/.test(text) ? Number(text) : undefined;
}

/** As `grpc-message` wants it: percent-encoded outside of printable ASCII. */
export function encodeGrpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/g, (octet) => {
    const hex = octet.charCodeAt(0).toString(16).toUpperCase();
    return `%${hex.length < 2 ? "0" : ""}${hex}`;
  });
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** `grpc-timeout` in milliseconds, rounded up; undefined if absent or malformed. */
export function grpcTimeoutMs(fields: Fields): number | undefined {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(fields.get("grpc-timeout") ?? "");
  const factor = unitMs[match?.[2] ?? ""];
  return factor === undefined ? undefined : Math.ceil(Number(match?.[1]) * factor);
}

/** Counts length-prefixed messages in a body that comes in pieces. */
export class MessageCounter {
  count = 0;
  /** Octets of the five-octet prefix seen, then of the message still to come. */
  #prefix = 0;
  #left = 0;

  body(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#prefix < 5) {
        if (this.#prefix > 0) this.#left = this.#left * 256 + (bytes[at] ?? 0);
        else this.#left = 0;
        this.#prefix++;
        at++;
        if (this.#prefix === 5) this.#begun();
        continue;
      }
      const skipped = Math.min(this.#left, end - at);
      this.#left -= skipped;
      at += skipped;
      if (this.#left === 0) this.#prefix = 0;
    }
  }

  #begun(): void {
    this.count++;
    if (this.#left === 0) this.#prefix = 0;
  }
}
