/**
 * Whatever ours passes on of a corpus of smuggling attempts, node:http and nginx read as exactly the requests that ours has
 * logged: no request hides in another's body or behind it.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { handleRequests } from "../../../src/waypoint/exchange/serve.ts";
import { Http1Server } from "../../../src/waypoint/http/http1/server.ts";
import { openingOf, openTransport } from "../../../src/waypoint/http/transport.ts";
import { noTelemetry } from "../../../src/waypoint/telemetry/request-telemetry.ts";
import { downstream } from "../../support/stream-record.ts";
import { chainOf, forwardTo, routeOf } from "../../support/waypoint/chains.ts";
import { clustersOf, endpointAt, StaticCluster } from "../../support/waypoint/static-clusters.ts";
import { corpus } from "./odd-corpus.ts";

interface Upstream {
  readonly port: number;
  /** `METHOD path` of everything seen since the last call. */
  seen(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

async function nodeUpstream(): Promise<Upstream> {
  let seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume();
    request.on("end", () => response.end("ok"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen: () => {
      const list = seen;
      seen = [];
      return Promise.resolve(list);
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const nginx = spawnSync("nginx", ["-v"]).status === 0 ? false : "nginx is not installed";

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A front that reads the body, as a proxy does, and answers by itself. */
async function nginxUpstream(): Promise<Upstream> {
  const dir = mkdtempSync(join(tmpdir(), "ambit-nginx-"));
  const port = await freePort();
  const behind = await nodeUpstream();
  const log = join(dir, "access");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${dir}/${name};`)
    .join(" ");
  writeFileSync(
    join(dir, "conf"),
    `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error;
     events { worker_connections 256; }
     http { ${temporary} log_format short "$request_method $request_uri"; access_log ${log} short;
       server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${behind.port}; } } }`,
  );
  const child = spawn("nginx", ["-c", join(dir, "conf"), "-p", dir], { stdio: "ignore" });
  await reachable(port);
  let read = 0;
  return {
    port,
    seen: async () => {
      // The line is written when the answer has been.
      await new Promise((resolve) => setTimeout(resolve, 10));
      const text = readFileSync(log, "utf8");
      const lines = text.slice(read).split("\n").filter(Boolean);
      read = text.length;
      return lines;
    },
    stop: async () => {
      child.kill("SIGKILL");
      await behind.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function reachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error("nginx does not listen");
}

/** What ours logged as passed on, once the client's connection has been quiet. */
async function passedOn(
  port: number,
  octets: string,
  logged: string[],
): Promise<readonly string[]> {
  const socket = connect({ port, host: "127.0.0.1" });
  let last = Date.now();
  let closed = false;
  socket.on("data", () => {
    last = Date.now();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = true;
  });
  socket.write(Buffer.from(octets, "latin1"));
  const longest = Date.now() + 2000;
  while (!closed && Date.now() < longest && Date.now() - last < 40)
    await new Promise((resolve) => setTimeout(resolve, 5));
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 5));
  return logged.splice(0);
}

for (const [name, start, skip] of [
  ["node:http", nodeUpstream, false],
  ["nginx", nginxUpstream, nginx],
] as const)
  test(`${name} reads what we log, for ${corpus.length} smuggling attempts`, { skip }, async () => {
    const upstream = await start();
    const cluster = new StaticCluster("web", [endpointAt(upstream.port)]);
    const logged: string[] = [];
    const chain = chainOf([routeOf({ kind: "forward", forward: forwardTo("web") })]);
    const handling = handleRequests(
      {
        clusters: clustersOf(cluster),
        telemetry: {
          ...noTelemetry,
          finish: (_chain, { upstream: up, http }) => {
            if (up !== undefined) logged.push(`${http?.request.method} ${http?.request.path}`);
          },
        },
        clock: systemClock,
        random: Math.random,
        sourcePeer: () => undefined,
      },
      () => chain,
    );
    const front = createTcpServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      const owner = { ...handling, clock: systemClock, connection: downstream() };
      new Http1Server(openTransport(openingOf(socket), systemClock), chain.http, owner).start();
    });
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
    const { port } = front.address() as AddressInfo;
    let passed = 0;
    try {
      for (const octets of corpus) {
        const told = [...(await passedOn(port, octets, logged))];
        const seen = await upstream.seen();
        // What broke off is logged when its end has come through.
        for (let wait = 0; wait < 200 && seen.some((request) => !told.includes(request)); wait++) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          told.push(...logged.splice(0));
        }
        // A body that broke in its middle may have reached the upstream as half a request, which is none.
        for (const request of seen)
          assert.ok(
            told.includes(request),
            `${JSON.stringify(octets)}: ${seen} but logged ${told}`,
          );
        assert.ok(seen.length <= told.length, JSON.stringify(octets));
        passed += seen.length;
      }
    } finally {
      front.close();
      cluster.close();
      await upstream.stop();
    }
    assert.ok(passed > 50, `only ${passed} requests went through: the corpus proves nothing`);
  });
