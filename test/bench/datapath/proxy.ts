/**
 * A bare proxy process for measuring the data path: joinFlow and sessions, nothing else. No policy, no redirection, no log.
 *   node proxy.ts inbound <listen> <app host> <dir>             HBONE in, TCP out to the port of the authority
 *   node proxy.ts outbound <listen=port,...> <hbone host:port> <dir>   TCP in, HBONE out to that port
 *   node proxy.ts app <listen>                                answers each request with 1 KB
 * `dir` holds key.pem and cert.pem. Prints "ready" when it listens, and statistics of its process on SIGUSR2.
 */
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { openHboneClient } from "../../../src/shared/hbone/client.ts";
import { joinFlow } from "../../../src/shared/hbone/flow.ts";
import { HbonePool } from "../../../src/shared/hbone/pool.ts";
import { serveHbone } from "../../../src/shared/hbone/server.ts";
import { slabsInUse } from "../../../src/shared/hbone/session/slab.ts";
import { defaultHboneSettings } from "../../../src/shared/hbone/tunnel.ts";

const [role = "", listen = "0", target = "", dir = ""] = process.argv.slice(2);

function addressOf(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

function secureContext(): ReturnType<typeof createSecureContext> {
  const key = readFileSync(join(dir, "key.pem"));
  const cert = readFileSync(join(dir, "cert.pem"));
  return createSecureContext({ key, cert, ca: cert, minVersion: "TLSv1.3" });
}

function inbound(): void {
  const context = secureContext();
  const settings = defaultHboneSettings("server");
  createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const options = { isServer: true, secureContext: context, requestCert: true };
    const tls = new TLSSocket(socket, { ...options, ALPNProtocols: ["h2"] });
    tls.on("error", () => tls.destroy());
    tls.once("secure", () =>
      serveHbone(tls, settings, systemClock, (tunnel) => {
        const { port } = addressOf(tunnel.authority);
        const up = connect({ host: target, port, noDelay: true, allowHalfOpen: true }, () => {
          up.removeAllListeners("error");
          joinFlow(tunnel.accept([["baggage", "k8s.cluster.name=Kubernetes"]]), up);
        });
        up.once("error", () => tunnel.refuse(503));
      }),
    );
  }).listen(Number(listen), () => console.log("ready"));
}

function outbound(): void {
  const context = secureContext();
  const hbone = addressOf(target);
  const settings = defaultHboneSettings("client");
  const pool = new HbonePool({ maxStreamsPerSession: 100, idleReleaseMs: 300_000 }, systemClock);
  const open = (): ReturnType<typeof openHboneClient> =>
    new Promise((resolve, reject) => {
      const options = { ...hbone, secureContext: context, rejectUnauthorized: false };
      const tls = connectTls({ ...options, ALPNProtocols: ["h2"] }, () => {
        tls.off("error", reject);
        tls.setNoDelay(true);
        openHboneClient(tls, settings, systemClock).then(resolve, reject);
      });
      tls.once("error", reject);
    });
  const signal = new AbortController().signal;
  const headers = [["baggage", "k8s.cluster.name=Kubernetes,k8s.namespace.name=default"]] as const;
  const handle = async (socket: Socket, port: number): Promise<void> => {
    const request = {
      authority: `10.0.0.1:${port}`,
      headers: [...headers, ["forwarded", `for="${socket.remoteAddress}:${socket.remotePort}"`]],
    } as const;
    const answer = await pool.connect("one", open, request, signal);
    if (answer.kind === "open") joinFlow(socket, answer.stream);
    else socket.destroy();
  };
  const options = { noDelay: true, allowHalfOpen: true, pauseOnConnect: true };
  for (const pair of listen.split(",")) {
    const [from, to] = pair.split("=").map(Number);
    createServer(options, (socket) => {
      socket.once("error", () => socket.destroy());
      handle(socket, to ?? 0).catch((error: unknown) => {
        console.error(error);
        socket.destroy();
      });
    }).listen({ port: from, backlog: 4096 }, () => console.log("ready"));
  }
}

function app(): void {
  const body = "x".repeat(1024);
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`;
  const answer = Buffer.from(head + body);
  createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      socket.write(answer);
      if (chunk.includes("onnection: close")) socket.end();
    });
  }).listen({ port: Number(listen), backlog: 4096 }, () => console.log("ready"));
}

process.on("SIGINT", () => process.exit(0));
process.on("SIGUSR2", () => {
  globalThis.gc?.();
  console.log(JSON.stringify({ slabs: slabsInUse(), ...process.memoryUsage() }));
});
const roles = new Map([
  ["inbound", inbound],
  ["outbound", outbound],
  ["app", app],
]);
roles.get(role)?.();
