/**
 * Reads what a client sends (RFC 1035 section 4.1, EDNS of RFC 6891). Strict: a packet whose sections do not add up is
 * malformed, whatever it may have meant. Nothing here throws, whatever the bytes.
 */
import { type DnsName, decodeName } from "./name.ts";

export const HEADER_BYTES = 12;

export const flag = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
  rcode: 0x000f,
} as const;

export const rcode = { noError: 0, formErr: 1, servFail: 2, badVers: 16 } as const;

export const recordType = { a: 1, cname: 5, aaaa: 28, opt: 41 } as const;

const CLASS_IN = 1;

export interface Question {
  readonly name: DnsName;
  readonly type: number;
  readonly class: number;
}

export interface Edns {
  /** What the client can take over UDP, as sent. */
  readonly payloadBytes: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

/** A well-formed standard query. */
export interface Query {
  readonly kind: "query";
  readonly id: number;
  readonly flags: number;
  /** Almost always one. */
  readonly questions: readonly Question[];
  /** The question section as it was sent. */
  readonly questionBytes: Uint8Array;
  readonly edns: Edns | undefined;
}

export type ClientMessage =
  | Query
  /** UPDATE, NOTIFY, DSO and what else may come: not looked into. */
  | { readonly kind: "other-opcode"; readonly id: number; readonly flags: number }
  | { readonly kind: "response"; readonly id: number; readonly flags: number }
  /** Flags are 0 where they could not be read. */
  | {
      readonly kind: "malformed";
      readonly id: number;
      readonly flags: number;
      readonly reason: string;
    }
  /** Not even an id. */
  | { readonly kind: "unreadable" };

/** Whether we may answer this question at all: an address of the Internet class. */
export function addressFamilyOf(question: Question): 4 | 6 | undefined {
  if (question.class !== CLASS_IN) return undefined;
  if (question.type === recordType.a) return 4;
  return question.type === recordType.aaaa ? 6 : undefined;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

interface ReadQuestions {
  readonly questions: readonly Question[];
  readonly end: number;
}

/** The question section of any message, undefined when it is cut off or broken. */
export function readQuestions(bytes: Uint8Array): ReadQuestions | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const data = view(bytes);
  const questions: Question[] = [];
  let at = HEADER_BYTES;
  for (let left = data.getUint16(4); left > 0; left--) {
    const decoded = decodeName(bytes, at);
    if (decoded === undefined || decoded.end + 4 > bytes.length) return undefined;
    questions.push({
      name: decoded.name,
      type: data.getUint16(decoded.end),
      class: data.getUint16(decoded.end + 2),
    });
    at = decoded.end + 4;
  }
  return { questions, end: at };
}

interface Record {
  readonly name: DnsName;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: Uint8Array;
  readonly end: number;
}

export function readRecord(bytes: Uint8Array, start: number): Record | undefined {
  const decoded = decodeName(bytes, start);
  if (decoded === undefined || decoded.end + 10 > bytes.length) return undefined;
  const data = view(bytes);
  const dataStart = decoded.end + 10;
  const end = dataStart + data.getUint16(decoded.end + 8);
  if (end > bytes.length) return undefined;
  return {
    name: decoded.name,
    type: data.getUint16(decoded.end),
    class: data.getUint16(decoded.end + 2),
    ttl: data.getUint32(decoded.end + 4),
    data: bytes.subarray(dataStart, end),
    end,
  };
}

/** Options are pairs of code and length that must fill the record exactly (RFC 6891 section 6.1.2). */
function optionsAddUp(data: Uint8Array): boolean {
  let at = 0;
  while (at + 4 <= data.length) at += 4 + view(data).getUint16(at + 2);
  return at === data.length;
}

type EdnsResult = { readonly edns: Edns | undefined } | { readonly problem: string };

/** Walks answer, authority and additional records for the one OPT that may stand in the last of them. */
function readEdns(bytes: Uint8Array, start: number): EdnsResult {
  const data = view(bytes);
  const before = data.getUint16(6) + data.getUint16(8);
  const total = before + data.getUint16(10);
  let edns: Edns | undefined;
  let at = start;
  for (let index = 0; index < total; index++) {
    const record = readRecord(bytes, at);
    if (record === undefined) return { problem: "record section is cut off" };
    at = record.end;
    if (record.type !== recordType.opt) continue;
    if (index < before || record.name.length > 0 || edns !== undefined)
      return { problem: "misplaced OPT record" };
    if (!optionsAddUp(record.data)) return { problem: "EDNS options do not add up" };
    edns = {
      payloadBytes: record.class,
      version: (record.ttl >>> 16) & 0xff,
      dnssecOk: (record.ttl & 0x8000) !== 0,
    };
  }
  return { edns };
}

/** Bytes behind the last section are tolerated, as servers do. */
export function parseClientMessage(bytes: Uint8Array): ClientMessage {
  if (bytes.length < 2) return { kind: "unreadable" };
  const data = view(bytes);
  const id = data.getUint16(0);
  const flags = bytes.length < 4 ? 0 : data.getUint16(2);
  if (bytes.length < HEADER_BYTES)
    return { kind: "malformed", id, flags, reason: "header is cut off" };
  if ((flags & flag.response) !== 0) return { kind: "response", id, flags };
  if ((flags & flag.opcode) !== 0) return { kind: "other-opcode", id, flags };
  const read = readQuestions(bytes);
  if (read === undefined) return { kind: "malformed", id, flags, reason: "broken question" };
  const rest = readEdns(bytes, read.end);
  if ("problem" in rest) return { kind: "malformed", id, flags, reason: rest.problem };
  return {
    kind: "query",
    id,
    flags,
    questions: read.questions,
    questionBytes: bytes.subarray(HEADER_BYTES, read.end),
    edns: rest.edns,
  };
}

const typeNames: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [2, "NS"],
  [5, "CNAME"],
  [6, "SOA"],
  [10, "NULL"],
  [12, "PTR"],
  [13, "HINFO"],
  [15, "MX"],
  [16, "TXT"],
  [28, "AAAA"],
  [33, "SRV"],
  [35, "NAPTR"],
  [37, "CERT"],
  [43, "DS"],
  [44, "SSHFP"],
  [46, "RRSIG"],
  [47, "NSEC"],
  [48, "DNSKEY"],
  [50, "NSEC3"],
  [52, "TLSA"],
  [64, "SVCB"],
  [65, "HTTPS"],
  [251, "IXFR"],
  [252, "AXFR"],
  [255, "ANY"],
  [257, "CAA"],
]);

/** For metrics and logs. Types without a name share one, so that a client cannot make up label values. */
export function recordTypeName(type: number | undefined): string {
  return (type === undefined ? undefined : typeNames.get(type)) ?? "unknown";
}
