/** The moment of an upgrade: connections that wait at a listener which closes go to the other one. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { it } from "node:test";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { closeDescriptor, libc } from "../../../src/shared/os/libc.ts";
import { openListener } from "../../../src/shared/os/raw-socket.ts";
import { addPod, layOut } from "../../support/pods.ts";

it("loses no connection that was waiting to be accepted", async () => {
  layOut();
  const server = addPod(1);
  const client = addPod(2);
  const options = { ip: ipOf("::"), port: 15001, reusePort: true, transparent: "auto" } as const;
  const old = openListener(server.namespace, options).fd;
  const young = openListener(server.namespace, options).fd;
  for (const fd of [old, young]) assert.equal(libc().listen(fd, 128), 0);
  const sockets: Socket[] = [];
  for (let i = 0; i < 40; i++) {
    const destination = { ip: i % 2 === 0 ? server.v4 : server.v6, port: 15001 };
    sockets.push(await client.network.dialTcp({ destination, timeoutMs: 2000 }));
  }
  closeDescriptor(old);
  const accepting = createServer((socket) => socket.end("taken over")).listen({ fd: young });
  for (const socket of sockets) {
    socket.end("");
    assert.equal(await text(socket), "taken over");
  }
  accepting.close();
  server.namespace.close();
  client.namespace.close();
});
