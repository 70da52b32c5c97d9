/** ZDS packets: readable or refused with a reason, never thrown; what is read is written and read again to the same. */
import assert from "node:assert/strict";
import {
  encodeAnswer,
  encodeHello,
  encodeRequest,
  type Reading,
  type ReceivedMessage,
  readAnswer,
  readHello,
  readRequest,
  ZDS_MESSAGE_MAX_BYTES,
} from "../../src/shared/zds/messages.ts";
import { fuzz } from "./harness.ts";

function outcomeOf(what: string, reading: Reading<unknown>): string {
  if (reading.kind === "message") return `${what} read`;
  assert.ok(reading.reason.length < 400, "a reason fits into an answer");
  // The answer that carries it can be read, whatever the reason quotes.
  const answer = packet(Buffer.from(encodeAnswer({ error: reading.reason })));
  assert.deepEqual(readAnswer(answer), { kind: "message", message: { error: reading.reason } });
  return `${what} ${reading.reason.replace(/\d+/g, "N").slice(0, 40)}`;
}

function packet(bytes: Buffer, fdCount = 0, truncated = false): ReceivedMessage {
  return { bytes, fdCount, truncated };
}

/** The first octet says how the packet came; the rest is the message. */
function run(input: Buffer): string {
  const how = input[0] ?? 0;
  const bytes = input.subarray(1);
  const received = packet(bytes, how & 3, (how & 4) !== 0);
  const request = readRequest(received);
  if (request.kind === "message") {
    // A text may hold octets that are no UTF-8; written again it may have grown beyond a packet.
    const again = packet(Buffer.from(encodeRequest(request.message)), received.fdCount);
    assert.deepEqual(readRequest(again), request);
  }
  const answer = readAnswer(received);
  if (answer.kind === "message") {
    const short = (answer.message.error ?? "").length < ZDS_MESSAGE_MAX_BYTES / 4;
    const again = readAnswer(packet(Buffer.from(encodeAnswer(answer.message))));
    if (short) assert.deepEqual(again, answer);
  }
  return [
    outcomeOf("request", request),
    request.kind === "message" ? request.message.kind : "",
    outcomeOf("answer", answer),
    outcomeOf("hello", readHello(received)),
  ].join("; ");
}

const info = { name: "web-1", namespace: "shop", serviceAccount: "web" };
const uid = "5c3a1b0e-0000-4000-8000-000000000001";
const framed = (how: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([how]), bytes]);

fuzz({
  name: "zds",
  run,
  seeds: [
    framed(0, encodeHello()),
    framed(1, encodeRequest({ kind: "add", uid, info })),
    framed(1, encodeRequest({ kind: "add", uid, info: undefined })),
    framed(0, encodeRequest({ kind: "keep", uid })),
    framed(0, encodeRequest({ kind: "delete", uid })),
    framed(0, encodeRequest({ kind: "snapshot-sent" })),
    framed(0, encodeAnswer({ error: undefined })),
    framed(0, encodeAnswer({ error: "failure to start proxy" })),
  ],
  dictionary: [uid, Buffer.from("0a", "hex"), Buffer.from("ffffffffff0f", "hex")],
  maxBytes: ZDS_MESSAGE_MAX_BYTES,
});
