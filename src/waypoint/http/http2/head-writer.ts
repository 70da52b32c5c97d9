/** Header blocks out: pseudo headers first, then the fields, without those that HTTP/2 does not have. */
import { frameHeaderBytes } from "../../../shared/hbone/http2/frames.ts";
import type { FrameWriter } from "../../../shared/hbone/session/frame-writer.ts";
import type { Fields, RequestHead, ResponseHead } from "../message.ts";
import type { Http2Stream } from "./stream.ts";

/** A filter may have put one of these; the peer would have to refuse the message (RFC 9113 section 8.2.2). */
const forbidden: ReadonlySet<string> = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "host",
]);

/** `head.upgrade` of a method other than CONNECT is sent as extended CONNECT (RFC 8441). */
export function sendRequest(
  write: FrameWriter,
  stream: Http2Stream,
  head: RequestHead,
  endStream: boolean,
): void {
  const { encoder } = write;
  encoder.begin();
  const isUpgrade = head.upgrade !== undefined && head.method !== "CONNECT";
  encoder.field(":method", isUpgrade ? "CONNECT" : head.method);
  if (isUpgrade) encoder.field(":protocol", head.upgrade ?? "");
  if (head.method !== "CONNECT") {
    encoder.field(":scheme", head.scheme);
    encoder.field(":path", head.path === "" ? "/" : head.path);
  }
  if (head.authority !== "") encoder.field(":authority", head.authority);
  sendFields(write, stream, head.fields, endStream);
}

export function sendResponse(
  write: FrameWriter,
  stream: Http2Stream,
  head: ResponseHead,
  endStream: boolean,
): void {
  write.encoder.begin();
  write.encoder.field(":status", String(head.status));
  sendFields(write, stream, head.fields, endStream);
}

/** The rest of a block that was begun. */
export function sendFields(
  write: FrameWriter,
  stream: Http2Stream,
  fields: Fields,
  endStream: boolean,
): void {
  const { encoder } = write;
  const { flat } = fields;
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (forbidden.has(name) || (name === "te" && value !== "trailers")) continue;
    encoder.field(name, value);
  }
  const block = encoder.end();
  stream.wireBytesSent += block.length + frameHeaderBytes;
  write.block(stream.id, block, endStream);
}
