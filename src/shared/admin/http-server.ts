/**
 * Small HTTP servers for operators: a table of paths, answers that are complete when they are sent, limits that keep a
 * stuck client from holding anything (wire/ztunnel.md section 9.3).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { asMeshError, describeError, MeshError } from "../base/errors.ts";

export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** Of the client. */
  readonly remoteAddress: string | undefined;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: string | Uint8Array;
  /** Default `text/plain; charset=utf-8`. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type AdminHandler = (request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>;

export interface AdminServerOptions {
  /** For messages: `admin`, `readiness`, `stats`. */
  readonly name: string;
  /** All must be bound; a host whose family the machine lacks is skipped if another one is left. */
  readonly hosts: readonly string[];
  readonly port: number;
  /** Exact path to handler; anything else is 404. */
  readonly routes: Readonly<Record<string, AdminHandler>>;
}

export interface AdminServer {
  readonly port: number;
  /** Idempotent. Open connections are cut. */
  close(): Promise<void>;
}

const headerTimeoutMs = 2000;
const maxHeaderBytes = 8192;

export function textAnswer(status: number, body: string): AdminAnswer {
  return { status, body };
}

export function jsonAnswer(value: unknown): AdminAnswer {
  return {
    status: 200,
    body: `${JSON.stringify(value, undefined, 2)}\n`,
    contentType: "application/json",
  };
}

function send(response: ServerResponse, method: string, answer: AdminAnswer): void {
  const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
  response.writeHead(answer.status, {
    "content-type": answer.contentType ?? "text/plain; charset=utf-8",
    "content-length": body.byteLength,
    ...answer.headers,
  });
  response.end(method === "HEAD" ? undefined : body);
}

async function answerOf(
  options: AdminServerOptions,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<AdminAnswer> {
  let url: URL;
  try {
    url = new URL(request.url ?? "/", "http://admin.invalid");
  } catch {
    return textAnswer(400, "bad request\n");
  }
  const handler = Object.hasOwn(options.routes, url.pathname)
    ? options.routes[url.pathname]
    : undefined;
  if (handler === undefined) return textAnswer(404, "not found\n");
  try {
    return await handler({
      method: request.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      remoteAddress: request.socket.remoteAddress,
      signal,
    });
  } catch (thrown) {
    return textAnswer(500, `${describeError(thrown)}\n`);
  }
}

function handle(
  options: AdminServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const gone = new AbortController();
  response.on("close", () => gone.abort(new Error("client has gone")));
  // No route reads a body.
  request.resume();
  void answerOf(options, request, gone.signal).then((answer) => {
    if (!response.destroyed) send(response, request.method ?? "GET", answer);
  });
}

function listen(options: AdminServerOptions, host: string, port: number): Promise<Server> {
  const server = createServer(
    {
      headersTimeout: headerTimeoutMs,
      requestTimeout: headerTimeoutMs * 5,
      connectionsCheckingInterval: headerTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: 5000,
    },
    (request, response) => handle(options, request, response),
  );
  server.maxConnections = 256;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: host !== "::" }, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

/** `::` means everywhere: where the machine has no IPv6 at all, that is everywhere in IPv4. */
async function listenOn(options: AdminServerOptions, host: string, port: number): Promise<Server> {
  try {
    return await listen(options, host, port);
  } catch (thrown) {
    if (host !== "::" || !familyMissing.has(codeOf(thrown))) throw thrown;
    return listen(options, "0.0.0.0", port);
  }
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : undefined;
}

const familyMissing: ReadonlySet<string | undefined> = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL"]);

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Binds all hosts, or rejects with MeshError `system-failed` and leaves nothing bound. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const servers: Server[] = [];
  let port = options.port;
  let lastMissing: unknown;
  const close = async (): Promise<void> => {
    await Promise.all(
      servers.splice(0).map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  };
  for (const host of options.hosts) {
    try {
      const server = await listenOn(options, host, port);
      servers.push(server);
      port = portOf(server);
    } catch (thrown) {
      if (familyMissing.has(codeOf(thrown))) {
        lastMissing = thrown;
        continue;
      }
      await close();
      throw asMeshError(
        thrown,
        "system-failed",
        `Cannot bind the ${options.name} server to ${host} port ${port}`,
      );
    }
  }
  if (servers.length === 0)
    throw new MeshError("system-failed", `Cannot bind the ${options.name} server to any address`, {
      cause: lastMissing,
    });
  return { port, close };
}
