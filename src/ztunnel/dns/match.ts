/** Which response belongs to which forwarded query. Whoever forges one must guess port, id and question. */
import { flag, HEADER_BYTES, readQuestions } from "./message.ts";

/** What has to come back. */
export interface ExpectedResponse {
  /** The id under which the query was sent on. */
  readonly id: number;
  /** The query as the client sent it. */
  readonly query: Uint8Array;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Names compare without regard to case: some servers fold what they echo. Type and class compare exactly. */
function sameQuestions(query: Uint8Array, response: Uint8Array): boolean {
  const asked = readQuestions(query)?.questions;
  const echoed = readQuestions(response)?.questions;
  if (asked === undefined || echoed === undefined || asked.length !== echoed.length) return false;
  return asked.every((question, index) => {
    const other = echoed[index];
    return (
      other !== undefined &&
      other.type === question.type &&
      other.class === question.class &&
      other.name.length === question.name.length &&
      question.name.every((label, at) => label.toLowerCase() === other.name[at]?.toLowerCase())
    );
  });
}

export function answers(expected: ExpectedResponse, response: Uint8Array): boolean {
  if (response.length < HEADER_BYTES || word(response, 0) !== expected.id) return false;
  const flags = word(response, 2);
  if ((flags & flag.response) === 0) return false;
  const opcode = word(expected.query, 2) & flag.opcode;
  if ((flags & flag.opcode) !== opcode) return false;
  // Other operations put other things where questions stand, and may leave them out (RFC 2136 section 3.8).
  if (opcode !== 0) return true;
  // A server that could not read the question cannot echo it.
  if (word(response, 4) === 0 && (flags & flag.rcode) !== 0) return true;
  return sameQuestions(expected.query, response);
}

/** A copy under another id; nothing else is touched. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = Uint8Array.from(message);
  copy[0] = id >> 8;
  copy[1] = id & 0xff;
  return copy;
}

export function idOf(message: Uint8Array): number {
  return word(message, 0);
}
