/** gRPC's framing of one message each way (PROTOCOL-HTTP2: length-prefixed messages, status in trailers). */
import type { Fields } from "../http/message.ts";
import type { Collected } from "./collected-call.ts";
import type { CallFailure, UnaryOutcome } from "./upstream-calls.ts";

const FRAME_HEADER_BYTES = 5;

export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

export function grpcOutcome(
  collected: Extract<Collected, { readonly kind: "collected" }>,
): UnaryOutcome {
  const { head, body, trailers } = collected;
  if (head.status !== 200) return garbled(`the server answered ${head.status}`);
  // Trailers only: the status stands in the head.
  const status = statusIn(trailers) ?? statusIn(head.fields);
  if (status === undefined) return garbled("the answer has no grpc-status");
  if (status !== 0)
    return { kind: "status", status, message: messageIn(trailers) ?? messageIn(head.fields) ?? "" };
  const message = unframed(body);
  return message === undefined
    ? garbled("the answer is not one uncompressed message")
    : { kind: "message", message };
}

function statusIn(fields: Fields | undefined): number | undefined {
  const text = fields?.get("grpc-status");
  return text !== undefined && /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}

function messageIn(fields: Fields | undefined): string | undefined {
  return fields?.get("grpc-message");
}

function unframed(body: Buffer): Buffer | undefined {
  if (body.length < FRAME_HEADER_BYTES || body[0] !== 0) return undefined;
  const length = body.readUInt32BE(1);
  return body.length === FRAME_HEADER_BYTES + length
    ? body.subarray(FRAME_HEADER_BYTES)
    : undefined;
}

function garbled(detail: string): CallFailure {
  return { kind: "failed", reason: "garbled", detail };
}
