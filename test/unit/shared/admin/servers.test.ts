import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import {
  type AdminHandler,
  type AdminServer,
  startAdminServer,
  textAnswer,
} from "../../../../src/shared/admin/http-server.ts";
import { indexRoute, operatorRoutes } from "../../../../src/shared/admin/operator-routes.ts";
import { readinessRoutes } from "../../../../src/shared/admin/readiness-server.ts";
import { chooseEncoding, statsRoutes } from "../../../../src/shared/admin/stats-routes.ts";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { Readiness } from "../../../../src/shared/base/readiness.ts";
import { LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { Metrics } from "../../../../src/shared/telemetry/metrics.ts";

const servers: AdminServer[] = [];
after(() => Promise.all(servers.map((server) => server.close())));

async function serve(routes: Readonly<Record<string, AdminHandler>>): Promise<number> {
  const server = await startAdminServer({ name: "test", hosts: ["127.0.0.1"], port: 0, routes });
  servers.push(server);
  return server.port;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

async function call(
  port: number,
  path: string,
  method = "GET",
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const sent = request({ host: "127.0.0.1", port, path, method, headers, agent: false }).end();
  const [response] = await once(sent, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}

async function text(port: number, path: string, method = "GET"): Promise<string> {
  const { status, body } = await call(port, path, method);
  return `${status} ${body.toString()}`;
}

test("readiness: the words of the contract", async () => {
  const readiness = new Readiness();
  const state = readiness.block("state manager");
  const manager = readiness.block("workload proxy manager");
  const port = await serve(readinessRoutes(readiness));
  assert.equal(
    await text(port, "/healthz/ready"),
    "500 not ready, pending: state manager, workload proxy manager\n",
  );
  state.release();
  manager.release();
  assert.equal(await text(port, "/healthz/ready"), "200 ready\n");
  assert.match(await text(port, "/healthz/ready", "POST"), /^405 /);
  assert.match(await text(port, "/healthz/live"), /^404 /);
});

function operator() {
  const filter = new LogFilter("info");
  let quits = 0;
  const routes = operatorRoutes({
    filter,
    defaultFilter: "info",
    clock: systemClock,
    quit: () => {
      quits++;
    },
  });
  return { filter, routes, quits: () => quits };
}

test("logging: levels are added, reset, refused", async () => {
  const { filter, routes } = operator();
  const port = await serve(routes);
  assert.match(await text(port, "/logging"), /^405 Invalid HTTP method\nusage: POST \/logging/);
  assert.equal(await text(port, "/logging", "POST"), "200 current log level is info\n");
  assert.equal(
    await text(port, "/logging?level=debug", "POST"),
    "200 current log level is debug\n",
  );
  assert.equal(
    await text(port, "/logging?level=access=off,ztunnel::xds=trace", "POST"),
    "200 current log level is debug,access=off,xds=trace\n",
  );
  assert.equal(filter.allows("access", "error"), false);
  assert.equal(filter.allows("xds::client", "trace"), true);
  assert.match(await text(port, "/logging?level=loud", "POST"), /^400 /);
  assert.equal(
    await text(port, "/logging?level=warn&reset", "POST"),
    "200 current log level is warn\n",
  );
  assert.equal(filter.allows("access", "warn"), true);
});

test("quitquitquit wants a POST", async () => {
  const { routes, quits } = operator();
  const port = await serve(routes);
  assert.match(await text(port, "/quitquitquit"), /^405 /);
  assert.equal(quits(), 0);
  assert.equal(await text(port, "/quitquitquit", "POST"), "200 shutdown now\n");
  assert.equal(quits(), 1);
});

test("the index lists what there is; anything else is 404", async () => {
  const routes = { "/a": () => textAnswer(200, "a") };
  const port = await serve({ ...indexRoute("title", routes), ...routes });
  assert.match(await text(port, "/"), /^200 <!doctype html>[\s\S]*href="a"/);
  assert.match(await text(port, "/b"), /^404 /);
  assert.match(await text(port, "/toString"), /^404 /);
});

test("stats: the same body under both content types, compressed on request", async () => {
  const metrics = new Metrics();
  for (let i = 0; i < 50; i++)
    metrics.counter({ name: `a${i}`, help: "h", labelNames: ["l"] }).series("v").value = i;
  const port = await serve(statsRoutes(metrics));
  const plain = await call(port, "/metrics");
  assert.equal(plain.headers["content-type"], "text/plain; charset=utf-8");
  const open = await call(port, "/stats/prometheus", "GET", {
    accept: "application/openmetrics-text;version=1.0.0",
    "accept-encoding": "gzip",
  });
  assert.equal(
    open.headers["content-type"],
    "application/openmetrics-text;charset=utf-8;version=1.0.0",
  );
  assert.equal(open.headers["content-encoding"], "gzip");
  assert.deepEqual(gunzipSync(open.body), plain.body);
  assert.ok(plain.body.toString().endsWith("# EOF\n"));
});

test("content codings", () => {
  assert.equal(chooseEncoding("br, gzip"), "gzip");
  assert.equal(chooseEncoding("br;q=0.5"), "br");
  assert.equal(chooseEncoding("gzip;q=0, identity"), undefined);
  assert.equal(chooseEncoding(undefined), undefined);
});

test("a handler that throws answers 500 and the server lives on", async () => {
  const port = await serve({
    "/bad": () => {
      throw new Error("broken inside");
    },
  });
  assert.equal(await text(port, "/bad"), "500 broken inside\n");
  assert.match(await text(port, "/none"), /^404 /);
});

test("a port that is taken is a clear error, and nothing stays bound", async () => {
  const port = await serve({});
  await assert.rejects(
    startAdminServer({ name: "readiness", hosts: ["127.0.0.2", "127.0.0.1"], port, routes: {} }),
    (thrown: unknown) => {
      assert.ok(thrown instanceof MeshError);
      assert.match(
        thrown.message,
        new RegExp(
          `^Cannot bind the readiness server to 127\\.0\\.0\\.1 port ${port}: .*EADDRINUSE`,
        ),
      );
      return true;
    },
  );
  const again = await startAdminServer({ name: "x", hosts: ["127.0.0.2"], port, routes: {} });
  await again.close();
});

test("heads that are too long or too slow are ended", async () => {
  const port = await serve({ "/": () => textAnswer(200, "ok") });
  const { status } = await call(port, "/", "GET", { "x-long": "x".repeat(10_000) });
  assert.equal(status, 431);
  const slow = connect(port, "127.0.0.1");
  slow.write("GET / HTTP/1.1\r\nHost:");
  const startedMs = performance.now();
  slow.resume();
  await once(slow, "close");
  assert.ok(performance.now() - startedMs < 8000);
});
