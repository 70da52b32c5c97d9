/** A waypoint behind the ztunnel of its own pod: connections come over loopback with a PROXY protocol head. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { encodeProxyHeader } from "../../../src/ztunnel/proxy/proxy-protocol.ts";
import { requestOver, WaypointStage } from "../../support/waypoint/stage.ts";

const port = 15_088;
const stage = new WaypointStage({ config: { sandwichPort: port } });

before(async () => {
  stage.addIps("10.10.1.11", "10.10.2.11");
  for (const ip of ["10.10.1.11", "10.10.2.11"]) {
    await stage.listen(
      createServer((request, response) => response.end(`from ${ip} ${request.url}`)),
      ip,
      8080,
    );
    await stage.ztunnel(ip, "shop/reviews");
  }
  await stage.start();
});

after(() => stage.close());

async function handedOver(host = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

const head = encodeProxyHeader({
  source: { ip: ipOf("10.10.1.10"), port: 4321 },
  destination: { ip: ipOf("10.96.1.1"), port: 80 },
  identity: "spiffe://cluster.local/ns/shop/sa/web",
});

test("a request behind a head reaches the service that the head names", async () => {
  const socket = await handedOver();
  socket.write(head);
  const { status, body } = await requestOver(socket, "/sandwich", {});
  assert.equal(status, 200);
  assert.match(body, /^from 10\.10\.[12]\.11 \/sandwich$/);
});

test("a head in pieces, with the request in the last one", async () => {
  const socket = await handedOver();
  socket.setNoDelay(true);
  for (const octet of head.subarray(0, -1)) {
    socket.write(Buffer.of(octet));
    await new Promise(setImmediate);
  }
  socket.write(
    Buffer.concat([
      head.subarray(-1),
      Buffer.from("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    ]),
  );
  const text = Buffer.concat(await socket.toArray()).toString();
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n.*from 10\.10\.[12]\.11 \/x/s);
});

test("garbage, and a connection that ends before its head, are closed", async () => {
  const garbage = await handedOver();
  garbage.on("error", () => undefined);
  garbage.end("GET / HTTP/1.1\r\nhost: reviews\r\n\r\n");
  const heard = await garbage.toArray().catch(() => []);
  assert.equal(Buffer.concat(heard).length, 0);
  const short = await handedOver();
  short.on("error", () => undefined);
  short.end(head.subarray(0, 20));
  assert.equal(Buffer.concat(await short.toArray().catch(() => [])).length, 0);
  assert.match(stage.log.join(""), /PROXY protocol: no PROXY protocol, version 2/);
});

test("nobody outside of the pod can hand connections over", async () => {
  const socket = connect({ host: "10.10.2.50", port });
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNREFUSED");
});
