/** Serves the live picture on loopback: one page, and the stream of states that it draws. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pageHtml } from "./page.ts";
import type { PictureState } from "./picture.ts";

export class PageServer {
  readonly #server: Server;
  readonly #viewers = new Set<ServerResponse>();
  #last = "";

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request, response) => {
      if (request.url === "/") {
        response.writeHead(200, {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy":
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
        });
        response.end(pageHtml);
      } else if (request.url === "/state") this.#attach(response);
      else response.writeHead(404).end("not found\n");
    });
  }

  /** A port of 0 picks one. */
  static async open(port: number): Promise<PageServer> {
    const server = createServer();
    const page = new PageServer(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port }, resolve);
    });
    return page;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  publish(state: PictureState): void {
    this.#last = `data: ${JSON.stringify(state)}\n\n`;
    for (const viewer of this.#viewers) viewer.write(this.#last);
  }

  close(): Promise<void> {
    for (const viewer of this.#viewers) viewer.end();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #attach(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(this.#last);
    this.#viewers.add(response);
    response.on("close", () => this.#viewers.delete(response));
  }
}
