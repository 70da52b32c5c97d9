/** curl as an independent SOCKS5 client: by address, by name, and what it makes of our refusals. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { createLogger, LogFilter } from "../../../src/shared/telemetry/logger.ts";
import { DnsHandler } from "../../../src/ztunnel/dns/handler.ts";
import { lookup } from "../../../src/ztunnel/dns/lookup.ts";
import { startSocks5 } from "../../../src/ztunnel/proxy/socks5.ts";
import { makePolicy, makeRule, makeService } from "../../support/mesh-builders.ts";
import { CountingMetrics } from "../../unit/ztunnel/dns/fixture.ts";
import { LoopbackMesh, type LoopbackPod } from "../../unit/ztunnel/proxy/loopback-mesh.ts";

const run = promisify(execFile);

async function missing(): Promise<string | false> {
  try {
    await run("curl", ["--version"]);
    return false;
  } catch {
    return "curl is not installed";
  }
}

const quiet = createLogger(
  { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
  "dns",
);

describe("curl", { skip: await missing() }, () => {
  let mesh: LoopbackMesh;
  let web: LoopbackPod;
  let orders: LoopbackPod;

  before(async () => {
    mesh = new LoopbackMesh({ UNSTABLE_ENABLE_SOCKS5: "true" });
    web = await mesh.addPod(
      "web",
      {},
      {
        companion: (scope) => {
          const handler = new DnsHandler(
            {
              view: mesh.store,
              client: () => scope.local.current(),
              searchDomains: () => [],
              forward: () => Promise.resolve({ kind: "failed", reason: "none" }),
              metrics: new CountingMetrics(),
              logger: quiet,
              clock: systemClock,
              random: Math.random,
            },
            { clusterDomain: "cluster.local", ipv6Enabled: false },
          );
          return startSocks5(scope, (name) =>
            lookup((packet, protocol) => handler.handle(packet, protocol), name, [4]),
          );
        },
      },
    );
    orders = await mesh.addPod("orders", {
      behind: { "shop/orders.shop.svc.cluster.local": { 80: 8080 } },
    });
    const service = makeService("orders", { at: ["/240.240.0.8"], ports: { 80: 8080 } });
    mesh.store.apply({
      addresses: [{ kind: "service", service }],
      policies: [
        makePolicy("not-9090", {
          action: "Deny",
          rules: [makeRule({ destinationPorts: [9090] })],
        }),
      ],
    });
    await mesh.serve(orders.ip, 8080, (socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"));
    });
  });
  after(() => mesh.stop());

  /** The body, or the exit code with what curl says. */
  async function fetched(flag: string, url: string): Promise<string> {
    const words = ["-sS", "--max-time", "5", flag, `${web.ip}:15080`, url];
    try {
      return (await run("curl", words)).stdout;
    } catch (thrown) {
      const { code, stderr } = thrown as { code: number; stderr: string };
      return `${code} ${stderr.trim()}`;
    }
  }

  it("reaches a pod by its address", async () => {
    assert.equal(await fetched("--socks5", `http://${orders.ip}:8080/`), "hello");
  });
  it("reaches a service by its name, which we resolve", async () => {
    assert.equal(
      await fetched("--socks5-hostname", "http://orders.shop.svc.cluster.local/"),
      "hello",
    );
    assert.equal(await fetched("--socks5-hostname", "http://orders/"), "hello");
  });
  it("is told that a policy does not allow it", async () => {
    assert.match(await fetched("--socks5", `http://${orders.ip}:9090/`), /^97 .*\(2\)/);
  });
  it("is told that a name has no address", async () => {
    assert.match(await fetched("--socks5-hostname", "http://nobody.example/"), /^97 .*\(4\)/);
  });
  it("is told that nobody listens", async () => {
    assert.match(await fetched("--socks5", "http://127.250.250.250:1/"), /^97 .*\(5\)/);
  });
});
