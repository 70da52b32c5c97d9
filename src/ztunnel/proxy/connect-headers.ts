/** The headers of a CONNECT: written by the outbound side, read by the inbound side (wire/ztunnel.md sections 4.5, 5.3). */
import { randomBytes } from "node:crypto";
import type { HeaderField } from "../../shared/hbone/tunnel.ts";
import type { Workload } from "../../shared/model/workload.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { formatBaggage } from "./baggage.ts";

export interface ConnectHeaderFacts {
  readonly source: Workload;
  readonly client: SocketAddress;
  /** Hostname of the addressed service. */
  readonly serviceHostname: string | undefined;
  readonly traceparent: string;
}

export function connectHeaders(facts: ConnectHeaderFacts): HeaderField[] {
  const baggage = formatBaggage(facts.source);
  const headers: HeaderField[] = baggage === "" ? [] : [["baggage", baggage]];
  headers.push(
    ["forwarded", formatForwarded(facts.client, facts.serviceHostname)],
    ["traceparent", facts.traceparent],
  );
  return headers;
}

export function formatForwarded(client: SocketAddress, host: string | undefined): string {
  const forward = `for="${formatSocketAddress(client)}"`;
  return host === undefined ? forward : `${forward};host=${host}`;
}

/** The first non-empty `host=` of the `forwarded` fields, without its quotes. Only for telemetry. */
export function forwardedHost(headers: readonly HeaderField[]): string | undefined {
  for (const [name, value] of headers) {
    if (name !== "forwarded" || !/host=/i.test(value)) continue;
    for (const part of value.split(/[;,]/)) {
      const match = /^\s*host=("?)([\x21\x23-\x7e]+)\1\s*$/i.exec(part);
      if (match?.[2] !== undefined) return match[2];
    }
  }
  return undefined;
}

export function headerValue(headers: readonly HeaderField[], name: string): string | undefined {
  return headers.find(([candidate]) => candidate === name)?.[1];
}

/** One pool of randomness for many connections: asking the system for 24 bytes costs more than the rest of the header. */
const poolBytes = 24 * 128;
let pool: Buffer = Buffer.alloc(0);
let poolOffset = 0;

/** A new trace: W3C form, sampled flag off. */
export function newTraceparent(): string {
  if (poolOffset >= pool.length) {
    pool = randomBytes(poolBytes);
    poolOffset = 0;
  }
  const hex = pool.toString("hex", poolOffset, poolOffset + 24);
  poolOffset += 24;
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`;
}

/** The trace id of a well-formed `traceparent` (55 characters, neither id all zero). */
export function traceIdOf(traceparent: string): string | undefined {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(traceparent);
  if (match === null || /^0+$/.test(match[2] ?? "") || /^0+$/.test(match[1] ?? ""))
    return undefined;
  return match[1];
}
