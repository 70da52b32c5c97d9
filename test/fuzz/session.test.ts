/**
 * A whole HTTP/2 session over a socket of memory, as server and as client (the first octet chooses): whatever comes, the
 * session answers with well-formed frames of its own, ends in GOAWAY or lives on, and leaves no memory block behind.
 */
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { systemClock } from "../../src/shared/base/clock.ts";
import { MeshError } from "../../src/shared/base/errors.ts";
import { openHboneClient } from "../../src/shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../src/shared/hbone/duplex.ts";
import { serveHbone } from "../../src/shared/hbone/server.ts";
import { slabsInUse } from "../../src/shared/hbone/session/slab.ts";
import { defaultHboneSettings, type IncomingTunnel } from "../../src/shared/hbone/tunnel.ts";
import { neverAborts, rawBlock, rawFrame, rawPreface } from "../support/hbone.ts";
import { fuzz } from "./harness.ts";

/** What the session uses of a TLS socket; reads fall back to 'data' events without a handle. */
class MemorySocket extends Duplex {
  readonly written: Buffer[] = [];
  setNoDelay(): this {
    return this;
  }
  override _read(): void {
    // Pushed by the test.
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // The memory is the session's again after the return.
    this.written.push(Buffer.from(chunk));
    done();
  }
  asTls(): TLSSocket {
    return this as unknown as TLSSocket;
  }
}

const small = { streamWindowBytes: 1000, connectionWindowBytes: 65_535, maxStreams: 4 };

/** Opens, refuses, leaves waiting or abandons, by the authority. */
function handle(tunnel: IncomingTunnel): void {
  const choice = tunnel.authority.length % 4;
  if (tunnel.method !== "CONNECT" || choice === 0) {
    tunnel.refuse(400);
  } else if (choice === 1) {
    const duplex = tunnelAsDuplex(tunnel.accept([["baggage", "a=b"]]));
    duplex.on("error", () => duplex.destroy());
    duplex.pipe(duplex);
  } else if (choice === 2) {
    tunnel.gone.addEventListener("abort", () => tunnel.refuse(503));
  } else {
    tunnel.accept([]).reset(8);
  }
}

/** The frames that the session wrote, or the reason why they are none. */
function framesOf(bytes: Buffer): readonly { readonly type: number; readonly code: number }[] {
  const frames: { type: number; code: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.ok(at + 9 <= bytes.length, "a frame header is cut off");
    const length = bytes.readUIntBE(at, 3);
    const type = bytes.readUInt8(at + 3);
    const end = at + 9 + length;
    assert.ok(end <= bytes.length, "a frame is cut off");
    assert.ok([0, 1, 3, 4, 6, 7, 8].includes(type), `a frame of type ${type}`);
    assert.ok(length <= 16_384, "a frame larger than the peer takes");
    const codeAt = type === 7 ? at + 13 : at + 9;
    frames.push({ type, code: type === 7 || type === 3 ? bytes.readUInt32BE(codeAt) : 0 });
    at = end;
  }
  return frames;
}

/** In three pieces, each in a turn of its own. */
async function feed(socket: MemorySocket, bytes: Buffer): Promise<void> {
  const third = Math.ceil(bytes.length / 3);
  for (let at = 0; at < bytes.length; at += third) {
    socket.push(bytes.subarray(at, at + third));
    await turn();
  }
}

async function serve(bytes: Buffer): Promise<MemorySocket> {
  const socket = new MemorySocket({ allowHalfOpen: true });
  const settings = { ...defaultHboneSettings("server"), ...small };
  const session = serveHbone(socket.asTls(), settings, systemClock, handle);
  await feed(socket, Buffer.concat([rawPreface, bytes]));
  if (bytes.length % 2 === 0) session.drain();
  await turn();
  session.destroy(new MeshError("drained", "over"));
  socket.destroy();
  await session.closed;
  assert.equal(session.openStreams, 0);
  return socket;
}

async function call(bytes: Buffer): Promise<MemorySocket> {
  const socket = new MemorySocket({ allowHalfOpen: true });
  const settings = { ...defaultHboneSettings("client"), ...small };
  const opening = openHboneClient(socket.asTls(), settings, systemClock).then(
    (session) => {
      for (let count = 0; count < 3; count++)
        session
          .connect({ authority: "10.0.0.1:80", headers: [] }, neverAborts)
          .then((answer) => {
            if (answer.kind !== "open") return;
            const duplex = tunnelAsDuplex(answer.stream);
            duplex.on("error", () => duplex.destroy());
            duplex.end("hello");
            duplex.resume();
          })
          .catch(mustBeMeshError);
      return session;
    },
    (thrown: unknown) => {
      mustBeMeshError(thrown);
      return undefined;
    },
  );
  // The answers of an input can only come after the requests.
  const settingsEnd = 9 + (bytes.length < 3 ? 0 : bytes.readUIntBE(0, 3));
  await feed(socket, bytes.subarray(0, settingsEnd));
  await feed(socket, bytes.subarray(settingsEnd));
  await turn();
  socket.destroy();
  const session = await opening;
  await session?.closed;
  assert.ok(session === undefined || (session.openStreams === 0 && !session.usable));
  return socket;
}

function mustBeMeshError(thrown: unknown): void {
  if (!(thrown instanceof MeshError)) throw thrown;
}

async function run(input: Buffer): Promise<string> {
  const asServer = ((input[0] ?? 0) & 1) === 0;
  const { written } = await (asServer ? serve : call)(input.subarray(1));
  await turn();
  assert.equal(slabsInUse(), 0, "memory blocks in use");
  const bytes = Buffer.concat(written);
  const frames = framesOf(asServer ? bytes : bytes.subarray(rawPreface.length));
  const kinds = frames.map(({ type, code }) => (code === 0 ? `${type}` : `${type}/${code}`));
  return `${asServer ? "server" : "client"} ${[...new Set(kinds)].join(" ")}`;
}

const settings = rawFrame(4, 0, 0);
const request = (id: number, authority: string, flags = 4): Buffer =>
  rawFrame(
    1,
    flags,
    id,
    rawBlock([
      [":method", "CONNECT"],
      [":authority", authority],
    ]),
  );
const ok = (id: number, flags = 4): Buffer =>
  rawFrame(1, flags, id, rawBlock([[":status", "200"]]));
const asServer = (...frames: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([0]), settings, ...frames]);
const asClient = (...frames: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([1]), settings, ...frames]);
const hello = Buffer.from("hello").toString("hex");

fuzz({
  name: "session",
  run,
  seeds: [
    asServer(request(1, "a:111"), rawFrame(0, 0, 1, hello), rawFrame(0, 1, 1)),
    asServer(request(1, "a:80"), request(3, "a:111"), request(5, "a:1111"), request(7, "a:11111")),
    asServer(request(1, "a:111"), rawFrame(8, 0, 1, "00000010"), rawFrame(3, 0, 1, "00000008")),
    asServer(request(1, "a:111"), rawFrame(0, 0, 1, Buffer.alloc(1001))),
    asServer(rawFrame(6, 0, 0, "0102030405060708"), rawFrame(7, 0, 0, "0000000000000000")),
    asServer(
      rawFrame(4, 0, 0, "000400000001"),
      request(1, "a:111"),
      rawFrame(0, 1, 1, hello),
      rawFrame(8, 0, 1, "00000100"),
    ),
    asServer(request(1, "a:1111"), rawFrame(3, 0, 1, "00000008"), request(3, "a:1111")),
    asClient(ok(1), rawFrame(0, 0, 1, hello), rawFrame(0, 1, 1), ok(3, 5), ok(5)),
    asClient(rawFrame(1, 5, 1, rawBlock([[":status", "503"]])), rawFrame(3, 0, 3, "00000007")),
    asClient(
      rawFrame(1, 4, 1, rawBlock([[":status", "103"]])),
      ok(1),
      rawFrame(7, 0, 0, "0000000100000000"),
    ),
    asClient(rawFrame(4, 0, 0, "000300000001"), ok(1), rawFrame(8, 0, 0, "7fffffff")),
  ],
  dictionary: [
    request(9, "a:111"),
    ok(3),
    rawFrame(0, 1, 1, hello),
    rawFrame(3, 0, 1, "00000008"),
    rawFrame(8, 0, 0, "00000001"),
    rawFrame(4, 0, 0, "00047fffffff"),
    rawFrame(4, 0, 0, "000100000000"),
    rawFrame(9, 4, 1),
  ],
});
