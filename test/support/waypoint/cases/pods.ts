/**
 * The applications of the recorded cases' pods. Each speaks HTTP/1.1, HTTP/2 with prior knowledge, gRPC and, to whoever sends
 * something else, an echo; it answers with what it was asked and who it is. `x-do` tells it to misbehave, `x-do-at` which pod.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { type Server, type Socket, createServer as tcpServer } from "node:net";
import type { Readable } from "node:stream";

export interface Pod {
  readonly name: string;
  readonly ip: string;
  readonly serviceAccount: string;
  readonly ports: readonly number[];
  /** Says this before it hears anything. */
  readonly greeting?: string;
}

export const pods: readonly Pod[] = [
  { name: "web-1", ip: "10.10.1.10", serviceAccount: "shop/web", ports: [] },
  { name: "reviews-v1", ip: "10.10.1.11", serviceAccount: "shop/reviews", ports: [8080] },
  { name: "reviews-v2", ip: "10.10.2.11", serviceAccount: "shop/reviews", ports: [8080] },
  { name: "ratings-v1", ip: "10.10.2.12", serviceAccount: "shop/ratings", ports: [9080, 9090] },
  {
    name: "db-0",
    ip: "10.10.2.13",
    serviceAccount: "shop/db",
    ports: [5433],
    greeting: "ready\n",
  },
];

/** What an application saw of a request. */
export interface Echo {
  readonly pod: string;
  readonly port: number;
  readonly protocol: "HTTP/1.1" | "HTTP/2";
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Every request that any application saw, in the order of their ends. */
export type SeenRequests = Echo[];

interface Orders {
  readonly status: number;
  readonly delayMs: number;
  readonly reset: boolean;
}

function ordersFor(pod: string, headers: Readonly<Record<string, string>>): Orders {
  const order = (headers["x-do-at"] ?? pod) === pod ? (headers["x-do"] ?? "") : "";
  const [what = "", value = ""] = order.split("=");
  return {
    status: what === "status" ? Number(value) : 200,
    delayMs: what === "delay" ? Number(value) : 0,
    reset: what === "reset",
  };
}

function plain(headers: IncomingMessage["headers"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value].flat().join(",")]),
  );
}

/** By events: an iteration over a stream of both directions would end the other one too. */
async function read(stream: Readable): Promise<string> {
  let text = "";
  stream.on("data", (chunk) => {
    text += String(chunk);
  });
  await once(stream, "end");
  return text;
}

const after = (delayMs: number): Promise<void> =>
  new Promise((done) => setTimeout(done, delayMs).unref());

function http1(pod: string, port: number, seen: SeenRequests) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const headers = plain(request.headers);
    const { status, delayMs, reset } = ordersFor(pod, headers);
    const echo: Echo = {
      pod,
      port,
      protocol: "HTTP/1.1",
      method: request.method ?? "",
      path: request.url ?? "",
      host: headers["host"] ?? "",
      headers,
      body: await read(request),
    };
    seen.push(echo);
    if (delayMs > 0) await after(delayMs);
    if (reset) return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(echo));
  };
}

function http2(pod: string, port: number, seen: SeenRequests) {
  return async (
    stream: ServerHttp2Stream,
    { ":method": method, ":path": path, ":authority": host, ...rest }: IncomingMessage["headers"],
  ): Promise<void> => {
    stream.on("error", () => undefined);
    const headers = plain(rest);
    const { status, delayMs, reset } = ordersFor(pod, headers);
    const isGrpc = headers["content-type"]?.startsWith("application/grpc") === true;
    const body = await read(stream);
    const echo: Echo = {
      pod,
      port,
      protocol: "HTTP/2",
      method: String(method),
      path: String(path),
      host: String(host),
      headers,
      body,
    };
    seen.push(echo);
    if (delayMs > 0) await after(delayMs);
    if (stream.destroyed) return;
    if (reset) return stream.close(2);
    if (isGrpc) {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "x-pod": pod },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(body);
      return;
    }
    stream.respond({ ":status": status, "content-type": "application/json" });
    stream.end(JSON.stringify(echo));
  };
}

/** A server of one port of a pod. */
export function application(pod: Pod, port: number, seen: SeenRequests): Server {
  const one = createServer((request, response) => {
    void http1(pod.name, port, seen)(request, response).catch(() => request.destroy());
  });
  const two = createHttp2Server();
  two.on("stream", (stream, headers) => {
    void http2(
      pod.name,
      port,
      seen,
    )(stream, headers as IncomingMessage["headers"]).catch(() => stream.destroy());
  });
  return tcpServer({ allowHalfOpen: true }, (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    if (pod.greeting !== undefined) socket.write(pod.greeting);
    socket.once("data", (first: Buffer) => {
      const text = first.toString("latin1");
      if (text.startsWith("PRI * HTTP/2")) {
        // What is in flight belongs to the session.
        socket.pause();
        socket.unshift(first);
        two.emit("connection", socket);
      } else if (/^[A-Z]+ \S+ HTTP\/1/.test(text)) {
        socket.unshift(first);
        one.emit("connection", socket);
      } else {
        socket.write(first);
        socket.pipe(socket);
      }
    });
  });
}
