/** An HTTP/2 server of ours with an application that does what the path says, over any transport, and one of memory. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, systemClock } from "../../../src/shared/base/clock.ts";
import { Http2Client } from "../../../src/waypoint/http/http2/client.ts";
import { Http2Server } from "../../../src/waypoint/http/http2/server.ts";
import {
  defaultHttp2ClientSettings,
  type Http2Settings,
} from "../../../src/waypoint/http/http2/settings.ts";
import { Fields, type RequestHead, type ResponseHead } from "../../../src/waypoint/http/message.ts";
import type {
  AcceptRequest,
  RefusedRequest,
  RequestReceiver,
  ResetReason,
  ResponseReceiver,
  ServerStream,
} from "../../../src/waypoint/http/stream.ts";
import {
  openingOf,
  openTransport,
  type Transport,
  type TransportClose,
  type TransportReader,
} from "../../../src/waypoint/http/transport.ts";
import { downstream } from "../stream-record.ts";

/** One request as the application saw it. */
export interface Seen {
  readonly head: RequestHead;
  readonly stream: ServerStream;
  bodyBytes: number;
  ended: boolean;
  trailers: Fields | undefined;
  reset: ResetReason | undefined;
  writableCalls: number;
}

export interface App {
  readonly accept: AcceptRequest;
  readonly seen: Seen[];
  readonly refused: RefusedRequest[];
  /** Calls of bodies' receivers answer with this: false asks for pauses. */
  wants: boolean;
}

/**
 * `/echo` sends back head, body and trailers; `/bytes/N` answers with N octets, held back as the stream says; `/hold`
 * answers nothing; `/reset` breaks the answer off; `/early` answers before the body; `/hints` sends a 103 first; anything
 * else gets a short text.
 */
export function makeApp(): App {
  const seen: Seen[] = [];
  const app: App = {
    seen,
    refused: [],
    wants: true,
    accept: (head, endStream, stream) => {
      const one: Seen = {
        head,
        stream,
        bodyBytes: 0,
        ended: endStream,
        trailers: undefined,
        reset: undefined,
        writableCalls: 0,
      };
      seen.push(one);
      return behave(app, one, endStream);
    },
  };
  return app;
}

function behave(app: App, one: Seen, endStream: boolean): RequestReceiver {
  const { head, stream } = one;
  const [, kind = "", argument = ""] = head.path.split("/");
  const isEcho = kind === "echo" || head.upgrade !== undefined || head.method === "CONNECT";
  let left = Math.floor(Number(argument));
  const more = (): void => {
    one.writableCalls++;
    while (left > 0) {
      const length = Math.min(left, blockOfX.length);
      left -= length;
      const goOn = stream.body(blockOfX, 0, length);
      if (left === 0) stream.end(undefined);
      else if (!goOn) return;
    }
  };
  const whenWhole = (): void => {
    if (kind === "bytes") {
      stream.head({ status: 200, fields: new Fields() }, false);
      more();
    } else if (!isEcho && kind !== "hold" && kind !== "early") short(stream);
  };
  if (kind === "hints") stream.interim({ status: 103, fields: new Fields(["link", "</a>"]) });
  if (isEcho) stream.head({ status: echoStatus(head), fields: echoFields(head) }, false);
  if (kind === "early") short(stream);
  if (kind === "reset") {
    stream.head({ status: 200, fields: new Fields() }, false);
    stream.reset({ kind: "connection-lost", detail: "upstream", reused: false });
  } else if (endStream) {
    if (isEcho) stream.end(undefined);
    else whenWhole();
  }
  return {
    body: (bytes, start, end) => {
      one.bodyBytes += end - start;
      const goOn = isEcho ? stream.body(bytes, start, end) : true;
      return goOn && app.wants;
    },
    end: (trailers) => {
      one.ended = true;
      one.trailers = trailers;
      if (isEcho) stream.end(trailers);
      else whenWhole();
    },
    reset: (reason) => {
      one.reset = reason;
    },
    writable: () => {
      if (isEcho) stream.resume();
      else more();
    },
  };
}

const blockOfX = Buffer.alloc(64 * 1024, "x");

function short(stream: ServerStream): void {
  const text = Buffer.from("hello from here\n");
  const fields = new Fields(["content-type", "text/plain", "content-length", String(text.length)]);
  stream.head({ status: 200, fields }, false);
  stream.body(text, 0, text.length);
  stream.end(undefined);
}

function echoStatus(head: RequestHead): number {
  return head.upgrade === undefined ? 200 : 101;
}

function echoFields(head: RequestHead): Fields {
  return new Fields(["x-method", head.method, "x-path", head.path, ...head.fields.flat]);
}

export const testSettings: Http2Settings = defaultHttp2ClientSettings;

export function serve(
  transport: Transport,
  app: App,
  settings: Partial<Http2Settings> = {},
  clock: Clock = systemClock,
): Http2Server {
  const server = new Http2Server(
    transport,
    { ...testSettings, ...settings },
    {
      accept: app.accept,
      refused: (refused) => app.refused.push(refused),
      connection: downstream(),
      clock,
    },
  );
  server.start();
  return server;
}

export interface Listening {
  readonly port: number;
  readonly app: App;
  readonly servers: Http2Server[];
  close(): Promise<void>;
}

/** On a port of loopback, with prior knowledge. */
export async function listen(
  settings: Partial<Http2Settings> = {},
  app: App = makeApp(),
): Promise<Listening> {
  const servers: Http2Server[] = [];
  const sockets = new Set<Socket>();
  const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
  const listener: Server = createServer(options, (socket) => {
    sockets.add(socket);
    servers.push(serve(openTransport(openingOf(socket), systemClock), app, settings));
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const address = listener.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    listener.close();
    for (const socket of sockets) socket.destroy();
    await Promise.all(servers.map((server) => server.closed));
  };
  return { port, app, servers, close };
}

/** What an answer's receiver got. */
export class Answer implements ResponseReceiver {
  readonly interims: ResponseHead[] = [];
  response: ResponseHead | undefined;
  text = "";
  bodyBytes = 0;
  pieces = 0;
  /** What `body` answers. */
  wants = true;
  ended = false;
  trailers: Fields | undefined;
  failure: ResetReason | undefined;
  writableCalls = 0;
  /** The answer is complete or has failed. */
  readonly done: Promise<void>;
  #settle: (() => void) | undefined;
  #wake: () => void = () => undefined;

  constructor() {
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  interim(head: ResponseHead): void {
    this.interims.push(head);
  }

  head(head: ResponseHead, endStream: boolean): void {
    assert.equal(this.response, undefined, "two heads");
    this.response = head;
    if (endStream) this.end(undefined);
    this.#wake();
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    assert.ok(!this.ended && this.failure === undefined, "octets behind the end");
    this.pieces++;
    this.bodyBytes += end - start;
    if (this.bodyBytes <= 1_000_000) this.text += bytes.toString("latin1", start, end);
    this.#wake();
    return this.wants;
  }

  end(trailers: Fields | undefined): void {
    assert.ok(!this.ended && this.failure === undefined, "two ends");
    this.ended = true;
    this.trailers = trailers;
    this.#finish();
  }

  reset(reason: ResetReason): void {
    assert.equal(this.failure, undefined, "two resets");
    this.failure = reason;
    this.#finish();
  }

  writable(): void {
    this.writableCalls++;
    this.#wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #finish(): void {
    this.#settle?.();
    this.#wake();
  }
}

/** One end of a pipe in memory: octets arrive later, in pieces that the test chooses, and only so many are under way. */
export class MemoryTransport implements Transport {
  readBytes = 0;
  peer: MemoryTransport | undefined;
  readonly #nextPiece: () => number;
  #reader: TransportReader | undefined;
  #waiting = Buffer.alloc(0);
  #heldBack = false;
  #paused = false;
  #ended = false;
  #closed = false;
  #asked = false;

  constructor(nextPiece: () => number) {
    this.#nextPiece = nextPiece;
  }

  get unsentBytes(): number {
    return this.peer?.waitingBytes ?? 0;
  }

  get waitingBytes(): number {
    return this.#waiting.length;
  }

  start(reader: TransportReader): void {
    this.#reader = reader;
    this.#ask();
  }

  write(bytes: Buffer, start: number, end: number, hasRoom: boolean): boolean {
    // What may be overwritten is, and what must stay is checked by whoever reads it.
    if (hasRoom) bytes.fill(0xee, start - 9, start);
    this.peer?.deliver(bytes.subarray(start, end));
    if (hasRoom) bytes.fill(0xee, start - 9, end);
    this.#heldBack = this.unsentBytes > maxUnderWayBytes;
    return !this.#heldBack;
  }

  resume(): void {
    this.#paused = false;
    this.#ask();
  }

  end(): void {
    this.peer?.deliverEnd();
  }

  close(): void {
    this.end();
    this.#close({ kind: "clean" });
  }

  reset(): void {
    this.peer?.breakOff();
    this.#close({ kind: "reset" });
  }

  deliver(bytes: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    this.#ask();
  }

  deliverEnd(): void {
    this.#ended = true;
    this.#ask();
  }

  breakOff(): void {
    setImmediate(() => this.#close({ kind: "reset" }));
  }

  drained(): void {
    if (!this.#heldBack || this.#closed) return;
    this.#heldBack = false;
    this.#reader?.writable();
  }

  #ask(): void {
    if (this.#asked || this.#reader === undefined || this.#paused || this.#closed) return;
    this.#asked = true;
    setImmediate(() => {
      this.#asked = false;
      this.#step();
    });
  }

  #step(): void {
    if (this.#closed || this.#paused) return;
    if (this.#waiting.length > 0) {
      const length = Math.min(this.#nextPiece(), this.#waiting.length);
      const piece = Buffer.from(this.#waiting.subarray(0, length));
      this.#waiting = this.#waiting.subarray(length);
      this.readBytes += length;
      this.#paused = this.#reader?.received(piece, 0, length) === false;
      piece.fill(0xee);
      if (this.#waiting.length === 0) this.peer?.drained();
    } else if (this.#ended) {
      this.#ended = false;
      this.#reader?.ended();
      return;
    }
    if (this.#waiting.length > 0 || this.#ended) this.#ask();
  }

  #close(close: TransportClose): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader?.closed(close);
  }
}

const maxUnderWayBytes = 32 * 1024;

export function memoryPair(nextPiece: () => number): readonly [MemoryTransport, MemoryTransport] {
  const near = new MemoryTransport(nextPiece);
  const far = new MemoryTransport(nextPiece);
  near.peer = far;
  far.peer = near;
  return [near, far];
}

export interface ClientStage {
  readonly client: Http2Client;
  readonly events: string[];
}

export function dialOver(
  transport: Transport,
  settings: Partial<Http2Settings> = {},
  clock: Clock = systemClock,
): ClientStage {
  const events: string[] = [];
  const client = new Http2Client(transport, { ...testSettings, ...settings }, clock, {
    available: () => events.push("available"),
    unusable: () => events.push("unusable"),
  });
  client.start();
  return { client, events };
}

export function requestOf(path: string, overrides: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    scheme: "http",
    authority: "shop.example",
    path,
    fields: new Fields(),
    upgrade: undefined,
    ...overrides,
  };
}

/** Joins each request with one on this client, as a proxy without rules does. */
export function relayTo(client: Http2Client): AcceptRequest {
  return (head, endStream, stream) => {
    const writer = client.open(head, endStream, {
      interim: (answer) => stream.interim(answer),
      head: (answer, end) => stream.head(answer, end),
      body: (bytes, start, end) => stream.body(bytes, start, end),
      end: (trailers) => stream.end(trailers),
      reset: (reason) => stream.reset(reason),
      writable: () => stream.resume(),
    });
    return {
      body: (bytes, start, end) => writer.body(bytes, start, end),
      end: (trailers) => writer.end(trailers),
      reset: (reason) => writer.reset(reason),
      writable: () => writer.resume(),
    };
  };
}
