/** Sessions over real TLS on loopback, and a raw HTTP/2 peer that sends what it likes. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, connect as netConnect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TLSSocket, connect as tlsConnect, createServer as tlsServer } from "node:tls";
import { systemClock } from "../../src/shared/base/clock.ts";
import { joinFlow } from "../../src/shared/hbone/flow.ts";
import type { Flow, HeaderField, IncomingTunnel } from "../../src/shared/hbone/tunnel.ts";
import { ipOf } from "../../src/shared/net/ip.ts";
import { hostNetwork } from "../../src/shared/os/pod-network.ts";
import type { TcpConnection } from "../../src/shared/os/tcp-connection.ts";
import { deferred } from "./deferred.ts";

export interface KeyPair {
  readonly key: Buffer;
  readonly cert: Buffer;
}

let keyPair: KeyPair | undefined;

/** A throw-away self-signed certificate, made once a process. */
export function testKeyPair(): KeyPair {
  if (keyPair !== undefined) return keyPair;
  const dir = mkdtempSync(join(tmpdir(), "ambit-hbone-"));
  const key = join(dir, "key.pem");
  const cert = join(dir, "cert.pem");
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const files = ["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"];
  execFileSync("openssl", ["req", "-x509", ...curve, ...files], { stdio: "ignore" });
  keyPair = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(dir, { recursive: true });
  return keyPair;
}

export function portOf(server: { address(): unknown }): number {
  const address = server.address();
  if (typeof address === "object" && address !== null && "port" in address)
    return Number(address.port);
  throw new Error("not listening");
}

export interface TlsPair {
  readonly client: TLSSocket;
  readonly server: TLSSocket;
}

/** Two ends of one TLS connection over loopback. */
export async function tlsPair(): Promise<TlsPair> {
  const listener = tlsServer({ ...testKeyPair(), ALPNProtocols: ["h2"], minVersion: "TLSv1.3" });
  const accepted = once(listener, "secureConnection");
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const options = { port: portOf(listener), host: "127.0.0.1", rejectUnauthorized: false };
  const client = tlsConnect({ ...options, ALPNProtocols: ["h2"] });
  const [[server]] = (await Promise.all([accepted, once(client, "secureConnect")])) as [
    [TLSSocket],
    unknown,
  ];
  listener.close();
  return { client, server };
}

export const neverAborts = new AbortController().signal;

/** Echoes until the client half-closes, then half-closes too. */
export async function echoServer(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

export async function dial(port: number): Promise<Socket> {
  const socket = netConnect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  return socket;
}

/** How an application's connection reaches a flow. */
export interface Ends {
  readonly name: string;
  /** Two ends of one TCP connection over loopback; the near one is unread. */
  readonly pair: () => Promise<{ readonly near: Socket | TcpConnection; readonly far: Socket }>;
  readonly dial: (port: number) => Promise<Socket | TcpConnection>;
}

const network = hostNetwork(systemClock);
const loopback = ipOf("127.0.0.1");

export const nodeSockets: Ends = { name: "sockets of Node", pair: socketPair, dial };
async function acceptBare<T>(
  reach: (port: number) => Promise<T>,
): Promise<{ readonly near: TcpConnection; readonly far: T }> {
  const accepted = deferred<TcpConnection>();
  const listener = await network.acceptTcp(
    { ip: loopback, port: 0, reusePort: false, transparent: "never" },
    accepted.resolve,
  );
  const far = await reach(listener.port);
  const near = await accepted.promise;
  await listener.close();
  return { near, far };
}

async function dialBare(port: number): Promise<TcpConnection> {
  return network.connectTcp({ destination: { ip: loopback, port }, timeoutMs: 5_000 });
}

/** Both ends of a TCP connection are bare. */
export function bareEnds(): Promise<{ readonly near: TcpConnection; readonly far: TcpConnection }> {
  return acceptBare(dialBare);
}

export const bareConnections: Ends = {
  name: "bare connections",
  pair: () => acceptBare(dial),
  dial: dialBare,
};

/** What an inbound proxy does: connects to the application, answers 200, joins. */
export function acceptTo(
  port: number,
  headers: readonly HeaderField[] = [],
  joined: (flow: Flow) => void = () => undefined,
  ends: Ends = nodeSockets,
): (tunnel: IncomingTunnel) => void {
  return (tunnel) => {
    ends.dial(port).then(
      (socket) => joined(joinFlow(tunnel.accept(headers), socket)),
      () => tunnel.refuse(503),
    );
  };
}

/** Two ends of one TCP connection over loopback; the server's end is paused and unread. */
export async function socketPair(): Promise<{ near: Socket; far: Socket }> {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const accepted = once(listener, "connection");
  const far = await dial(portOf(listener));
  const [near] = (await accepted) as [Socket];
  listener.close();
  return { near, far };
}

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A frame as octets; written independently of the code under test. */
export function rawFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | string = "",
): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "hex") : Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

/** Reads frames from a socket as an independent peer would. */
export class RawPeer {
  readonly frames: RawFrame[] = [];
  readonly socket: Socket;
  #pending = Buffer.alloc(0);
  #skip: number;
  #wake: () => void = () => undefined;
  ended = false;

  constructor(socket: Socket, skipBytes = 0) {
    this.socket = socket;
    this.#skip = skipBytes;
    socket.on("data", (chunk: Buffer) => this.#add(chunk));
    const end = (): void => {
      this.ended = true;
      this.#wake();
    };
    socket.on("end", end).on("close", end).on("error", end);
  }

  /** The first frame that matches, past or future; rejects when the connection ends before. */
  async find(matches: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const found = this.frames.find(matches);
      if (found !== undefined) return found;
      if (this.ended) throw new Error("the connection ended without that frame");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async goAwayCode(): Promise<number> {
    return (await this.find((frame) => frame.type === 7)).payload.readUInt32BE(4);
  }

  async resetCode(streamId: number): Promise<number> {
    const frame = await this.find((found) => found.type === 3 && found.streamId === streamId);
    return frame.payload.readUInt32BE(0);
  }

  #add(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    if (this.#pending.length < this.#skip) return;
    this.#pending = this.#pending.subarray(this.#skip);
    this.#skip = 0;
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) break;
      this.frames.push({
        type: this.#pending.readUInt8(3),
        flags: this.#pending.readUInt8(4),
        streamId: this.#pending.readUInt32BE(5),
        payload: Buffer.from(this.#pending.subarray(9, 9 + length)),
      });
      this.#pending = this.#pending.subarray(9 + length);
    }
    this.#wake();
  }
}

export const rawPreface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Header block of literals without Huffman and without indexing. */
export function rawBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const parts = fields.flatMap(([name, value]) => [
    Buffer.from([0]),
    lengthPrefixed(name),
    lengthPrefixed(value),
  ]);
  return Buffer.concat(parts);
}

function lengthPrefixed(text: string): Buffer {
  const body = Buffer.from(text, "latin1");
  if (body.length < 127) return Buffer.concat([Buffer.from([body.length]), body]);
  const rest = body.length - 127;
  const more: number[] = [];
  let left = rest;
  while (left >= 128) {
    more.push(0x80 | (left & 0x7f));
    left >>= 7;
  }
  more.push(left);
  return Buffer.concat([Buffer.from([127, ...more]), body]);
}

export const connectBlock = rawBlock([
  [":method", "CONNECT"],
  [":authority", "10.0.0.1:80"],
]);
