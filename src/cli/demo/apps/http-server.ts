/** The HTTP port of an application: says who it is and what it got, fails or dawdles when told to, keeps what it saw. */
import {
  createServer,
  type IncomingMessage,
  type Server as PlainServer,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import { systemClock } from "../../../shared/base/clock.ts";
import {
  type AppConfig,
  type Behavior,
  CLEAR_TEXT_MARK,
  type Greeting,
  LAST_PATH,
  type SeenRequest,
  STREAM_PATH,
} from "./protocol.ts";

const KEPT_REQUESTS = 2_000;
const KEEP_ALIVE_MS = 600_000;
const KEPT_BODY_BYTES = 512 * 1024;
const STREAM_BLOCK = Buffer.alloc(64 * 1024, `${CLEAR_TEXT_MARK} stream\n`);

/** Folds an address that a dual-stack listener reports. */
export function plainAddress(socket: Socket): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
}

/** Header fields with one value each; repeated ones are joined. */
export function plainHeaders(headers: IncomingMessage["headers"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : (value ?? ""),
    ]),
  );
}

export class HttpServer {
  readonly server: PlainServer;
  readonly #config: AppConfig;
  #behavior: Behavior = { status: 200, delayMs: 0 };
  #seen: SeenRequest[] = [];

  constructor(config: AppConfig) {
    this.#config = config;
    const server = createServer((request, response) => void this.#take(request, response));
    // Whoever keeps connections to send requests on is to close them first: after 5 s, Node's default, a request may cross the end.
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.server = server;
  }

  behave(behavior: Behavior): null {
    this.#behavior = behavior;
    return null;
  }

  seen(path: string): readonly SeenRequest[] {
    return this.#seen.filter((request) => request.path.startsWith(path));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, delayMs } = this.#behavior;
    const { method = "", url: path = "" } = request;
    const headers = plainHeaders(request.headers);
    const body = await readBody(request);
    this.#keep({ method, path, headers, body });
    if (delayMs > 0) await systemClock.sleep(delayMs);
    if (path.startsWith(STREAM_PATH)) {
      stream(response, Number(path.slice(STREAM_PATH.length)));
      return;
    }
    if (status !== 200) {
      response.writeHead(status, { "x-answered-by": this.#config.pod });
      response.end("told to fail\n");
      return;
    }
    const greeting: Greeting = {
      ...this.#config,
      mark: CLEAR_TEXT_MARK,
      clientIp: plainAddress(request.socket),
      method,
      path,
      headers,
    };
    if (path.startsWith(LAST_PATH)) response.setHeader("connection", "close");
    response.setHeader("content-type", "application/json");
    response.end(`${JSON.stringify(greeting)}\n`);
  }

  #keep(request: SeenRequest): void {
    this.#seen.push(request);
    if (this.#seen.length > 2 * KEPT_REQUESTS) this.#seen = this.#seen.slice(KEPT_REQUESTS);
  }
}

/** What came of it: a peer may go away in the middle. */
async function readBody(request: IncomingMessage): Promise<string> {
  let body = "";
  request.setEncoding("utf8");
  try {
    for await (const text of request) if (body.length < KEPT_BODY_BYTES) body += String(text);
  } catch {
    // It went away.
  }
  return body;
}

function stream(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { "content-type": "application/octet-stream" });
  let left = bytes;
  const step = (): void => {
    while (left > 0) {
      const piece = STREAM_BLOCK.subarray(0, Math.min(left, STREAM_BLOCK.length));
      left -= piece.length;
      if (!response.write(piece) && left > 0) {
        response.once("drain", step);
        return;
      }
    }
    response.end();
  };
  step();
}
