/**
 * A whole HTTP/2 connection with general requests over a transport of memory, as server and as client (the first octet
 * chooses): whatever comes, it answers with well-formed frames of its own, ends in GOAWAY or lives on, tells every request how
 * it ended, and leaves no memory block behind.
 */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { slabsInUse } from "../../src/shared/hbone/session/slab.ts";
import type { Transport, TransportReader } from "../../src/waypoint/http/transport.ts";
import { rawBlock, rawFrame, rawPreface } from "../support/hbone.ts";
import { Answer, dialOver, makeApp, requestOf, serve } from "../support/waypoint/http2.ts";
import { fuzz } from "./harness.ts";

/** Takes everything that is written, save now and then when it asks for a pause. */
class FuzzTransport implements Transport {
  readonly written: Buffer[] = [];
  readonly readBytes = 0;
  readonly unsentBytes = 0;
  reader: TransportReader | undefined;
  closed = false;
  start(reader: TransportReader): void {
    this.reader = reader;
  }
  write(bytes: Buffer, start: number, end: number, hasRoom: boolean): boolean {
    assert.ok(!this.closed, "written after the close");
    this.written.push(Buffer.from(bytes.subarray(start, end)));
    if (hasRoom) bytes.fill(0xee, start - 9, end);
    if (this.written.length % 3 !== 0) return true;
    setImmediate(() => this.reader?.writable());
    return false;
  }
  resume(): void {
    assert.fail("HTTP/2 does not pause its transport");
  }
  end(): void {
    assert.fail("HTTP/2 does not half-close");
  }
  close(): void {
    this.reset();
  }
  reset(): void {
    if (this.closed) return;
    this.closed = true;
    this.reader?.closed({ kind: "reset" });
    this.reader = undefined;
  }
}

/** In three pieces, each in a turn of its own. */
async function feed(transport: FuzzTransport, bytes: Buffer): Promise<void> {
  const third = Math.ceil(bytes.length / 3);
  for (let at = 0; at < bytes.length; at += third) {
    transport.reader?.received(bytes, at, Math.min(at + third, bytes.length));
    await turn();
  }
}

/** The frames that were written, or the reason why they are none. */
function framesOf(bytes: Buffer): readonly string[] {
  const kinds: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.ok(at + 9 <= bytes.length, "a frame header is cut off");
    const length = bytes.readUIntBE(at, 3);
    const type = bytes.readUInt8(at + 3);
    const end = at + 9 + length;
    assert.ok(end <= bytes.length, "a frame is cut off");
    assert.ok([0, 1, 3, 4, 6, 7, 8, 9].includes(type), `a frame of type ${type}`);
    assert.ok(length <= 65_536, "a frame larger than any peer takes");
    const codeAt = type === 7 ? at + 13 : at + 9;
    kinds.push(type === 7 || type === 3 ? `${type}/${bytes.readUInt32BE(codeAt)}` : `${type}`);
    at = end;
  }
  return [...new Set(kinds)];
}

async function asServer(bytes: Buffer): Promise<FuzzTransport> {
  const transport = new FuzzTransport();
  const app = makeApp();
  app.wants = bytes.length % 3 !== 0;
  const limits = { connectionWindowBytes: 100_000, maxConcurrentStreams: 4, allowConnect: true };
  const server = serve(transport, app, { ...limits, maxHeadBytes: 8000 });
  await feed(transport, Buffer.concat([rawPreface, bytes]));
  for (const one of app.seen) one.stream.resume();
  if (bytes.length % 2 === 0) server.drain();
  await turn();
  server.destroy({ kind: "local", detail: "over" });
  transport.reset();
  await server.closed;
  assert.equal(server.activeRequests, 0);
  return transport;
}

async function asClient(bytes: Buffer): Promise<FuzzTransport> {
  const transport = new FuzzTransport();
  const { client, events } = dialOver(transport, { streamWindowBytes: 65_535 });
  const answers = ["/", "/a", "/chat"].map((path, index) => {
    const answer = new Answer();
    answer.wants = bytes.length % 3 !== index;
    const upgrade = path === "/chat" ? "websocket" : undefined;
    const method = index === 1 ? "POST" : "GET";
    const writer = client.open(requestOf(path, { method, upgrade }), index === 0, answer);
    if (index > 0) writer.body(Buffer.from("hello"), 0, 5);
    if (index === 1) writer.end(undefined);
    return { answer, writer };
  });
  await feed(transport, bytes);
  for (const { writer } of answers) writer.resume();
  await turn();
  client.destroy({ kind: "local", detail: "over" });
  transport.reset();
  await client.closed;
  for (const { answer, writer } of answers) {
    writer.resume();
    writer.reset({ kind: "local", detail: "over" });
    const isKnown = answer.ended || answer.failure !== undefined || answer.response !== undefined;
    assert.ok(isKnown, "a request that nobody ended");
  }
  assert.deepEqual([client.activeRequests, client.capacity, events.at(-1)], [0, 0, "unusable"]);
  return transport;
}

async function run(input: Buffer): Promise<string> {
  const isServer = ((input[0] ?? 0) & 1) === 0;
  const { written } = await (isServer ? asServer : asClient)(input.subarray(1));
  await turn();
  await turn();
  assert.equal(slabsInUse(), 0, "memory blocks in use");
  const bytes = Buffer.concat(written);
  const kinds = framesOf(isServer ? bytes : bytes.subarray(rawPreface.length));
  return `${isServer ? "server" : "client"} ${kinds.join(" ")}`;
}

type Field = readonly [string, string];
const settings = rawFrame(4, 0, 0);
const request = (id: number, path: string, flags = 5, ...more: Field[]): Buffer =>
  rawFrame(
    1,
    flags,
    id,
    rawBlock([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "a"],
      ...more,
    ]),
  );
const connect = rawFrame(
  1,
  4,
  1,
  rawBlock([
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    [":scheme", "http"],
    [":path", "/chat"],
    [":authority", "a"],
  ]),
);
const ok = (id: number, flags = 4, ...more: Field[]): Buffer =>
  rawFrame(1, flags, id, rawBlock([[":status", "200"], ...more]));
const trailers = (id: number): Buffer => rawFrame(1, 5, id, rawBlock([["grpc-status", "0"]]));
const toServer = (...frames: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([0]), settings, ...frames]);
const toClient = (...frames: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([1]), settings, ...frames]);
const hello = Buffer.from("hello").toString("hex");
const data = (id: number, flags = 0): Buffer => rawFrame(0, flags, id, hello);
const reset = (id: number): Buffer => rawFrame(3, 0, id, "00000008");

fuzz({
  name: "http2",
  run,
  seeds: [
    toServer(request(1, "/hi"), request(3, "/echo", 4), data(3), data(3, 1), request(5, "/reset")),
    toServer(request(1, "/echo", 4, ["content-length", "10"]), data(1), data(1, 1)),
    toServer(request(1, "/echo", 4), data(1), trailers(1), rawFrame(8, 0, 1, "00000010")),
    toServer(request(1, "/bytes/200000"), request(3, "/early", 4), data(3), reset(1)),
    toServer(
      rawFrame(4, 0, 0, "000400000001"),
      request(1, "/bytes/500"),
      rawFrame(8, 0, 1, "00000100"),
    ),
    toServer(
      request(1, "/hold"),
      request(3, "/hold"),
      request(5, "/hold"),
      request(7, "/hold"),
      request(9, "/"),
    ),
    toServer(connect, data(1), data(1, 1)),
    toServer(rawFrame(6, 0, 0, "0102030405060708"), rawFrame(7, 0, 0, "0000000000000000")),
    toClient(ok(1, 5), ok(3), data(3), trailers(3), ok(5), data(5), data(5, 1)),
    toClient(ok(1, 4, ["content-length", "5"]), data(1, 1), rawFrame(3, 0, 3, "00000007")),
    toClient(
      rawFrame(1, 4, 1, rawBlock([[":status", "103"]])),
      ok(1, 5),
      rawFrame(7, 0, 0, "0000000100000000"),
    ),
    toClient(rawFrame(4, 0, 0, "000800000001"), ok(5), data(5, 1), rawFrame(8, 0, 0, "00100000")),
  ],
  dictionary: [
    request(11, "/echo", 4),
    ok(3),
    data(1, 1),
    trailers(1),
    reset(1),
    rawFrame(8, 0, 0, "00000001"),
    rawFrame(4, 0, 0, "00047fffffff"),
    rawFrame(4, 0, 0, "000100000000"),
    rawFrame(9, 4, 1),
    ":path",
    ":authority",
    "content-length",
  ],
});
