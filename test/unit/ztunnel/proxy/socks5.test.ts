/** SOCKS5 over real sockets: what the client is told, and that it is told the truth. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { DnsHandler } from "../../../../src/ztunnel/dns/handler.ts";
import { lookup } from "../../../../src/ztunnel/dns/lookup.ts";
import { startSocks5 } from "../../../../src/ztunnel/proxy/socks5.ts";
import { makePolicy, makeService } from "../../../support/mesh-builders.ts";
import { LoopbackMesh, type LoopbackPod } from "./loopback-mesh.ts";

const meshes: LoopbackMesh[] = [];
after(() => {
  for (const mesh of meshes) mesh.stop();
});

const quiet = createLogger(
  { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
  "dns",
);

async function shop() {
  const mesh = new LoopbackMesh({ UNSTABLE_ENABLE_SOCKS5: "true" });
  meshes.push(mesh);
  const web = await mesh.addPod(
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
            metrics: {
              series: () => ({
                request: () => undefined,
                upstreamRequest: () => undefined,
                upstreamFailure: () => undefined,
                upstreamDuration: () => undefined,
              }),
            },
            logger: quiet,
            clock: systemClock,
            random: () => 0.999,
          },
          { clusterDomain: "cluster.local", ipv6Enabled: false },
        );
        return startSocks5(scope, (name) =>
          lookup((packet, protocol) => handler.handle(packet, protocol), name, [4]),
        );
      },
    },
  );
  const orders = await mesh.addPod("orders");
  await mesh.serve(orders.ip, 8080, (socket) => {
    socket.write("welcome;");
    socket.on("data", (chunk) => socket.write(`you said ${chunk};`));
    socket.on("end", () => socket.end("bye"));
  });
  return { mesh, web, orders };
}

const hello = Uint8Array.of(5, 1, 0);

function toAddress(ip: string, port: number): Uint8Array {
  return Uint8Array.from([5, 1, 0, 1, ...ip.split(".").map(Number), port >> 8, port & 0xff]);
}

function toName(name: string, port: number): Uint8Array {
  return Uint8Array.from([5, 1, 0, 3, name.length, ...Buffer.from(name), port >> 8, port & 0xff]);
}

class Client {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      this.closed = true;
    });
  }

  static async to(mesh: LoopbackMesh, pod: LoopbackPod): Promise<Client> {
    return new Client(await mesh.connect({ ip: pod.ip, port: 15080 }, pod.ip));
  }

  write(bytes: Uint8Array | string): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  async read(length: number): Promise<string> {
    for (let i = 0; i < 300 && this.#bytes.length < length && !this.closed; i++) await delay(10);
    const part = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return part.toString("latin1");
  }

  async hex(length: number): Promise<string> {
    return Buffer.from(await this.read(length), "latin1").toString("hex");
  }

  async rest(): Promise<string> {
    for (let i = 0; i < 300 && !this.closed; i++) await delay(10);
    assert.ok(this.closed, "the connection ends");
    return this.#bytes.toString("latin1");
  }
}

async function asked(mesh: LoopbackMesh, pod: LoopbackPod, request: Uint8Array): Promise<Client> {
  const client = await Client.to(mesh, pod);
  client.write(hello);
  assert.equal(await client.hex(2), "0500");
  client.write(request);
  return client;
}

const SUCCEEDED = "05000001000000000000";

describe("what connects", () => {
  test("an address, through the tunnel; the server speaks first", async () => {
    const { mesh, web, orders } = await shop();
    const client = await asked(mesh, web, toAddress(orders.ip, 8080));
    assert.equal(await client.hex(10), SUCCEEDED);
    assert.equal(await client.read(8), "welcome;");
    client.write("x");
    assert.equal(await client.read(11), "you said x;");
    client.end();
    assert.equal(await client.rest(), "bye");
    for (let i = 0; i < 100 && mesh.accessLog().length < 2; i++) await delay(10);
    const line = mesh.accessLog().find((one) => one.includes("outbound")) ?? "";
    assert.match(line, /^info\taccess\tconnection complete\t/);
    assert.match(
      line,
      new RegExp(`dst\\.hbone_addr=${orders.ip}:8080 .*bytes_sent=1 bytes_recv=22 `),
    );
  });

  test("a name of the mesh, resolved by the pod's DNS proxy", async () => {
    const { mesh, web, orders } = await shop();
    const service = makeService("orders", { at: ["/240.240.0.8"], ports: { 80: 8080 } });
    const services = new Map([
      ["shop/orders.shop.svc.cluster.local" as const, new Map([[80, 8080]])],
    ]);
    mesh.store.apply({
      addresses: [
        { kind: "service", service },
        { kind: "workload", workload: { ...orders.workload, services } },
      ],
    });
    const client = await asked(mesh, web, toName("orders", 80));
    assert.equal(await client.hex(10), SUCCEEDED);
    assert.equal(await client.read(8), "welcome;");
  });

  test("one byte at a time, and all at once with the payload behind it", async () => {
    const { mesh, web, orders } = await shop();
    const everything = Buffer.concat([hello, toAddress(orders.ip, 8080), Buffer.from("early")]);
    const slow = await Client.to(mesh, web);
    for (const byte of everything) {
      slow.write(Uint8Array.of(byte));
      await delay(2);
    }
    const fast = await Client.to(mesh, web);
    fast.write(everything);
    for (const client of [slow, fast]) {
      assert.equal(await client.hex(12), `0500${SUCCEEDED}`);
      client.end();
      const text = (await client.rest()).replaceAll(/you said |;/g, "");
      assert.equal(text, "welcomeearlybye");
    }
  });

  test("the second address where the first does not answer", async () => {
    const { mesh, web, orders } = await shop();
    const service = makeService("pair", { ports: { 8080: 8080 } });
    const behind = new Map([
      ["shop/pair.shop.svc.cluster.local" as const, new Map([[8080, 8080]])],
    ]);
    const { workload } = orders;
    const nobody = mesh.address();
    const gone = {
      ...workload,
      uid: "a",
      name: "gone",
      protocol: "TCP",
      addresses: [nobody],
    } as const;
    mesh.store.apply({
      addresses: [
        { kind: "service", service },
        { kind: "workload", workload: { ...gone, services: behind } },
        { kind: "workload", workload: { ...workload, services: behind } },
      ],
    });
    const client = await asked(mesh, web, toName("pair.shop", 8080));
    assert.equal(await client.hex(10), SUCCEEDED);
    assert.equal(await client.read(8), "welcome;");
    const failed = mesh.accessLog().filter((line) => line.includes(`dst.addr=${nobody}:8080`));
    assert.equal(failed.length, 1, "the first was tried");
  });
});

describe("what does not connect is told so, and nothing else", () => {
  test("denied by the far end's policy: not allowed", async () => {
    const { mesh, web, orders } = await shop();
    mesh.store.apply({ policies: [makePolicy("closed")] });
    const client = await asked(mesh, web, toAddress(orders.ip, 8080));
    assert.equal(await client.hex(10), "05020001000000000000");
    assert.equal(await client.rest(), "");
  });

  const rows: readonly (readonly [string, (ip: string) => Uint8Array, string])[] = [
    ["nobody listens at a plain address", () => toAddress("127.250.250.250", 1), "05"],
    ["no such name", () => toName("nobody.example", 80), "04"],
    ["a text that is no name", () => toName("a..b", 80), "04"],
    ["the application behind the tunnel does not listen", (ip) => toAddress(ip, 9), "04"],
    ["a port of the proxy itself", () => toAddress("127.0.0.1", 15080), "02"],
  ];
  for (const [name, request, code] of rows)
    test(`${name}: ${code}`, async () => {
      const { mesh, web, orders } = await shop();
      const client = await asked(mesh, web, request(orders.ip));
      assert.equal(await client.hex(10), `05${code}0001000000000000`);
      assert.equal(await client.rest(), "");
      assert.match(mesh.accessLog().join("\n"), /error=/);
    });

  test("a service without endpoints: host unreachable", async () => {
    const { mesh, web } = await shop();
    const service = makeService("void", { at: ["/240.240.0.8"], ports: { 80: 9000 } });
    mesh.store.apply({ addresses: [{ kind: "service", service }] });
    const client = await asked(mesh, web, toAddress("240.240.0.8", 80));
    assert.equal(await client.hex(10), "05040001000000000000");
  });
});

describe("who does not speak SOCKS5", () => {
  const rows: readonly (readonly [string, Uint8Array, string])[] = [
    ["SOCKS4 gets no answer", Uint8Array.of(4, 1, 0, 80, 10, 0, 0, 1, 0), ""],
    ["HTTP gets no answer", Buffer.from("GET / HTTP/1.1\r\n\r\n"), ""],
    ["one that wants to log in", Uint8Array.of(5, 1, 2), "05ff"],
    ["BIND", Uint8Array.of(...hello, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80), "050005070001000000000000"],
    ["an unknown type of address", Uint8Array.of(...hello, 5, 1, 0, 9), "050005080001000000000000"],
  ];
  for (const [name, bytes, answer] of rows)
    test(name, async () => {
      const { mesh, web } = await shop();
      const client = await Client.to(mesh, web);
      client.write(bytes);
      assert.equal(Buffer.from(await client.rest(), "latin1").toString("hex"), answer);
      assert.match(
        mesh.accessLog()[0] ?? "",
        /^warn\taccess\tconnection failed\tsrc\.addr=\S+ direction="outbound" error="socks5: /,
      );
    });

  test("one that leaves in the middle leaves nothing behind", async () => {
    const { mesh, web } = await shop();
    const client = await Client.to(mesh, web);
    client.write(Uint8Array.of(5));
    client.end();
    await client.rest();
    assert.equal(web.proxy.connections.size, 0);
  });

  test("one that stays silent is cut with its pod", async () => {
    const { mesh, web } = await shop();
    const client = await Client.to(mesh, web);
    client.write(hello);
    assert.equal(await client.hex(2), "0500");
    web.proxy.stop();
    await client.rest();
    assert.equal(web.proxy.connections.size, 0);
  });
});

test("an open connection is cut with its pod", async () => {
  const { mesh, web, orders } = await shop();
  const client = await asked(mesh, web, toAddress(orders.ip, 8080));
  assert.equal(await client.hex(10), SUCCEEDED);
  web.proxy.stop();
  await client.rest();
  assert.ok(ipOf(orders.ip));
});
