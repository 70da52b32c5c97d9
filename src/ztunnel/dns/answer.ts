/** Builds our own answers (RFC 1035, RFC 3596, RFC 6891): the question comes back byte for byte, names are compressed. */
import { type IpAddress, ipToBytes } from "../../shared/net/ip.ts";
import { type Edns, flag, HEADER_BYTES, type Query, rcode, recordType } from "./message.ts";
import { type DnsName, NameWriter } from "./name.ts";

/** wire/ztunnel.md section 7. */
const TTL_SECONDS = 30;
const CLASS_IN = 1;
/** The least that every client takes over UDP (RFC 1035 section 4.2.1). */
const MIN_UDP_BYTES = 512;
/** The most that a datagram over IPv4 carries. Answers stay on the pod's loopback, so larger than a link's MTU is fine. */
const MAX_UDP_BYTES = 65_507;
const MAX_TCP_BYTES = 65_535;
/** Root name, type, class, TTL, empty data. */
const OPT_BYTES = 11;
/** Type, class, TTL, data length. */
const RECORD_FIXED_BYTES = 10;

export interface AnswerRecords {
  /** The name in the question is an alias of this one. */
  readonly cname: DnsName | undefined;
  /** Owner of the addresses. */
  readonly owner: DnsName;
  readonly addresses: readonly IpAddress[];
}

/** What fits into one response to this query. */
export function maxResponseBytes(query: Query, protocol: "udp" | "tcp"): number {
  if (protocol === "tcp") return MAX_TCP_BYTES;
  return Math.min(MAX_UDP_BYTES, Math.max(MIN_UDP_BYTES, query.edns?.payloadBytes ?? 0));
}

/** QR set, opcode and RD and CD as they came, RA set (a forwarder recurses). */
function responseFlags(queryFlags: number, code: number): number {
  return (
    flag.response |
    (queryFlags & (flag.opcode | flag.recursionDesired | flag.checkingDisabled)) |
    flag.recursionAvailable |
    (code & flag.rcode)
  );
}

/** A response without records, also to what could not be parsed: then nothing but the header is sent. */
export function errorResponse(
  message: { readonly id: number; readonly flags: number; readonly edns?: Edns | undefined },
  code: number,
  questions?: Pick<Query, "questions" | "questionBytes">,
): Uint8Array {
  const questionBytes = questions?.questionBytes ?? new Uint8Array(0);
  const response = Buffer.alloc(HEADER_BYTES + questionBytes.length + OPT_BYTES);
  response.writeUInt16BE(message.id, 0);
  response.writeUInt16BE(responseFlags(message.flags, code), 2);
  response.writeUInt16BE(questions?.questions.length ?? 0, 4);
  response.set(questionBytes, HEADER_BYTES);
  const end = HEADER_BYTES + questionBytes.length;
  if (message.edns === undefined) return response.subarray(0, end);
  response.writeUInt16BE(1, 10);
  return response.subarray(0, writeOpt(response, end, message.edns, code));
}

/** An OPT of our own: the payload size of the client, at least 512, and its DO bit (RFC 3225 section 3). */
function writeOpt(target: Buffer, start: number, edns: Edns, code: number): number {
  let at = target.writeUInt8(0, start);
  at = target.writeUInt16BE(recordType.opt, at);
  at = target.writeUInt16BE(Math.max(MIN_UDP_BYTES, edns.payloadBytes), at);
  at = target.writeUInt8(code >> 4, at);
  at = target.writeUInt8(0, at);
  at = target.writeUInt16BE(edns.dnssecOk ? 0x8000 : 0, at);
  return target.writeUInt16BE(0, at);
}

/** Records are added whole until the next one no longer fits; then TC tells the client to come back over TCP. */
class RecordWriter {
  readonly #target: Buffer;
  readonly #names: NameWriter;
  readonly #limit: number;
  at: number;
  count = 0;

  constructor(target: Buffer, names: NameWriter, start: number, limit: number) {
    this.#target = target;
    this.#names = names;
    this.at = start;
    this.#limit = limit;
  }

  /** `dataBytes` is an upper bound where the data is a name. False when the record does not fit. */
  #begin(owner: DnsName, type: number, dataBytes: number): boolean {
    const size = this.#names.sizeOf(owner) + RECORD_FIXED_BYTES + dataBytes;
    if (this.at + size > this.#limit) return false;
    let at = this.#names.write(owner, this.at);
    at = this.#target.writeUInt16BE(type, at);
    at = this.#target.writeUInt16BE(CLASS_IN, at);
    at = this.#target.writeUInt32BE(TTL_SECONDS, at);
    this.at = this.#target.writeUInt16BE(dataBytes, at);
    this.count++;
    return true;
  }

  cname(owner: DnsName, target: DnsName): boolean {
    // The owner stands in the question already, so writing it adds no tails and the size stays right.
    const dataBytes = this.#names.sizeOf(target);
    if (!this.#begin(owner, recordType.cname, dataBytes)) return false;
    this.at = this.#names.write(target, this.at);
    return true;
  }

  address(owner: DnsName, ip: IpAddress): boolean {
    const data = ipToBytes(ip);
    if (!this.#begin(owner, data.length === 4 ? recordType.a : recordType.aaaa, data.length))
      return false;
    this.#target.set(data, this.at);
    this.at += data.length;
    return true;
  }
}

/** Authoritative NOERROR with these records (or none) to a query with exactly one question. */
export function answerResponse(
  query: Query,
  records: AnswerRecords | undefined,
  maxBytes: number,
): Uint8Array {
  const base = HEADER_BYTES + query.questionBytes.length;
  const opt = query.edns === undefined ? 0 : OPT_BYTES;
  const wanted =
    base + opt + 512 + (records?.addresses.length ?? 0) * (16 + RECORD_FIXED_BYTES + 2);
  const response = Buffer.alloc(Math.min(Math.max(maxBytes, base + opt), wanted));
  response.set(query.questionBytes, HEADER_BYTES);
  const names = new NameWriter(response);
  const writer = new RecordWriter(response, names, base, response.length - opt);
  let whole = true;
  const question = query.questions[0];
  if (records !== undefined && question !== undefined) {
    names.note(question.name, HEADER_BYTES);
    if (records.cname !== undefined) whole = writer.cname(question.name, records.cname);
    for (const ip of records.addresses) {
      whole &&= writer.address(records.owner, ip);
      if (!whole) break;
    }
  }
  response.writeUInt16BE(query.id, 0);
  response.writeUInt16BE(
    responseFlags(query.flags, rcode.noError) | flag.authoritative | (whole ? 0 : flag.truncated),
    2,
  );
  response.writeUInt16BE(query.questions.length, 4);
  response.writeUInt16BE(writer.count, 6);
  if (query.edns === undefined) return response.subarray(0, writer.at);
  response.writeUInt16BE(1, 10);
  return response.subarray(0, writeOpt(response, writer.at, query.edns, rcode.noError));
}
