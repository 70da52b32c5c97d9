/** Requests and connections as a client's ztunnel brings them to a waypoint. */
import { once } from "node:events";
import { request as http1Request, type IncomingMessage } from "node:http";
import { connect as http2Connect, type IncomingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Echo } from "./pods.ts";

export interface Ask {
  /** `reviews:80`, or an address and port. */
  readonly to: string;
  /** Service account of the client; shop/web when not given. */
  readonly as?: string;
  /** Address of the client; the one of the pod web-1 when not given. */
  readonly from?: string;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly protocol?: "HTTP/1.1" | "HTTP/2";
}

export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly trailers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
  /** What the application saw, when it was reached. */
  readonly echo: Echo | undefined;
  readonly tookMs: number;
}

const DEADLINE_MS = 12_000;

function echoOf(body: string): Echo | undefined {
  if (!body.startsWith('{"pod"')) return undefined;
  return JSON.parse(body) as Echo;
}

export async function askOver(inside: Duplex, ask: Ask, host: string): Promise<Got> {
  const began = performance.now();
  const asked = ask.protocol === "HTTP/2" ? over2(inside, ask, host) : over1(inside, ask, host);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer: ${JSON.stringify(ask)}`)), DEADLINE_MS);
  });
  try {
    const got = await Promise.race([asked, late]);
    return { ...got, echo: echoOf(got.body), tookMs: performance.now() - began };
  } finally {
    clearTimeout(timer);
    inside.destroy();
  }
}

type Bare = Omit<Got, "echo" | "tookMs">;

async function over1(inside: Duplex, ask: Ask, host: string): Promise<Bare> {
  const call = http1Request({
    createConnection: () => inside as Socket,
    path: ask.path ?? "/",
    method: ask.method ?? "GET",
    // What ends with its answer is cut off by some; a client keeps its connection.
    headers: { host, connection: "keep-alive", ...ask.headers },
  });
  const answered = once(call, "response") as Promise<[IncomingMessage]>;
  call.end(ask.body);
  const [response] = await answered;
  // Also after the answer: the tunnel may end at any time.
  call.on("error", () => undefined);
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    trailers: response.trailers,
    body,
  };
}

async function over2(inside: Duplex, ask: Ask, host: string): Promise<Bare> {
  const session = http2Connect(`http://${host}`, { createConnection: () => inside });
  session.on("error", () => undefined);
  try {
    const { method = "GET", path = "/" } = ask;
    const stream = session.request({
      ...ask.headers,
      ":method": method,
      ":path": path,
      ":authority": host,
    });
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    let body = "";
    stream.on("response", (head) => {
      headers = head;
    });
    stream.on("trailers", (tail) => {
      trailers = tail;
    });
    stream.on("data", (chunk) => {
      body += String(chunk);
    });
    stream.end(ask.body);
    await once(stream, "end");
    return { status: Number(headers[":status"] ?? 0), headers, trailers, body };
  } finally {
    session.destroy();
  }
}

/** Writes into a raw connection what is to be said; what came back until it ended, broke, or was as much as expected. */
export async function talkOver(
  inside: Duplex,
  say: string,
  expectBytes: number,
): Promise<{ readonly heard: string; readonly end: "open" | "closed" | "reset" }> {
  let heard = "";
  const end = await new Promise<"open" | "closed" | "reset">((done) => {
    const timer = setTimeout(() => done("open"), 5000);
    const finish = (how: "open" | "closed" | "reset") => {
      clearTimeout(timer);
      done(how);
    };
    inside.on("data", (chunk) => {
      heard += String(chunk);
      if (heard.length >= expectBytes) finish("open");
    });
    inside.on("end", () => finish("closed"));
    inside.on("error", () => finish("reset"));
    inside.on("close", () => finish("closed"));
    if (say !== "") inside.write(say);
  });
  inside.destroy();
  return { heard, end };
}
