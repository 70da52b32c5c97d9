import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { countInTable, countListeners } from "../../../../src/shared/os/listeners.ts";
import { NetworkNamespace } from "../../../../src/shared/os/network-namespace.ts";

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";
const any = "00000000000000000000000000000000";
const line = (slot: number, port: string, state: string): string =>
  `   ${slot}: ${any}:${port} ${any}:0000 ${state} 00000000:00000000 00:00000000 00000000     0`;

test("counts the listeners of one port and stops behind the last listener", () => {
  const listening = [head, line(0, "3AA0", "0A"), line(1, "3A99", "0A"), line(2, "3AA0", "0A")];
  const text = `${listening.join("\n")}\n`;
  assert.deepEqual(countInTable(text, 15008), { count: 2, complete: false });
  const established = `${text}${line(3, "3AA0", "01")}\n${line(4, "3AA0", "0A")}\n`;
  assert.deepEqual(countInTable(established, 15008), { count: 2, complete: true });
  assert.deepEqual(countInTable("", 15008), { count: 0, complete: false });
});

test("finds what really listens, in both families", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  assert.equal(countListeners(NetworkNamespace.own(), address.port), 1);
  server.close();
  await once(server, "close");
  assert.equal(countListeners(NetworkNamespace.own(), address.port), 0);
});
