/**
 * Much through the whole waypoint, HBONE in and HBONE out, with a reader that stops now and then: what waits between the ends
 * stays bounded. AMBIT_LARGE_MB makes it more.
 */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { HboneClientSession } from "../../../src/shared/hbone/tunnel.ts";
import { WaypointStage } from "../../support/waypoint/stage.ts";

const totalBytes = Number(process.env["AMBIT_LARGE_MB"] ?? 48) * 1024 * 1024;
/** Windows of two tunnels (4 MiB each), buffers of six sockets in the kernel, and what the codecs hold. */
const maxWaitingBytes = 32 * 1024 * 1024;
const reviews = "10.96.1.1:80";
const piece = Buffer.alloc(256 * 1024, "x");

const stage = new WaypointStage();
let web: HboneClientSession;
let produced = 0;
let consumed = 0;

async function download(response: ServerResponse): Promise<void> {
  response.setHeader("content-length", totalBytes);
  for (produced = 0; produced < totalBytes; produced += piece.length)
    if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve));
  response.end();
}

async function upload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const bytes of request) {
    consumed += (bytes as Buffer).length;
    await rest(consumed);
  }
  response.end(String(consumed));
}

/** A slow reader: every 8 MiB it looks away for a moment. */
let rested = 0;
async function rest(bytes: number): Promise<void> {
  if (bytes - rested < 8 * 1024 * 1024) return;
  rested = bytes;
  await setTimeout(30);
}

/** The most that was under way, and the most memory of this process: client, waypoint, both ztunnels and the application. */
class Peak {
  readonly #before = process.memoryUsage().rss;
  waitingBytes = 0;
  growthBytes = 0;

  look(waitingBytes: number): void {
    this.waitingBytes = Math.max(this.waitingBytes, waitingBytes);
    this.growthBytes = Math.max(this.growthBytes, process.memoryUsage().rss - this.#before);
  }

  toString(): string {
    const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;
    return `${mib(totalBytes)}: at most ${mib(this.waitingBytes)} under way, memory grew by ${mib(this.growthBytes)}`;
  }
}

before(async () => {
  stage.addIps("10.10.1.11", "10.10.2.11", "10.10.1.10");
  for (const ip of ["10.10.1.11", "10.10.2.11"]) {
    const server = createServer((request, response) => {
      void (request.method === "GET" ? download(response) : upload(request, response));
    });
    await stage.listen(server, ip, 8080);
    await stage.ztunnel(ip, "shop/reviews");
  }
  await stage.start();
  web = await stage.client("shop/web", "10.10.1.10");
});

after(() => stage.close());

function ask(inside: Duplex, line: string, fields = ""): void {
  inside.write(`${line} HTTP/1.1\r\nhost: reviews\r\n${fields}\r\n`);
}

test("down, to a reader that stops at once and then reads slowly", async (t) => {
  const inside = await stage.tunnel(web, reviews);
  ask(inside, "GET /");
  await setTimeout(500);
  const stalled = produced;
  await setTimeout(300);
  assert.equal(produced, stalled, "the application goes on although nobody reads");
  assert.ok(stalled < maxWaitingBytes, `${stalled} octets wait`);
  const peak = new Peak();
  let read = 0;
  rested = 0;
  for await (const bytes of inside) {
    read += (bytes as Buffer).length;
    peak.look(produced - read);
    await rest(read);
    if (read >= totalBytes + 100 && produced >= totalBytes) break;
  }
  t.diagnostic(String(peak));
  assert.ok(read >= totalBytes);
  assert.ok(peak.waitingBytes < maxWaitingBytes, String(peak));
});

test("up, to a slow application", async (t) => {
  const inside = await stage.tunnel(web, reviews);
  const answer = inside.toArray();
  ask(inside, "POST /", `connection: close\r\ncontent-length: ${totalBytes}\r\n`);
  consumed = 0;
  rested = 0;
  const peak = new Peak();
  for (let sent = 0; sent < totalBytes; sent += piece.length) {
    if (!inside.write(piece)) await new Promise((resolve) => inside.once("drain", resolve));
    peak.look(sent - consumed);
  }
  const text = Buffer.concat(await answer).toString("latin1");
  t.diagnostic(String(peak));
  assert.match(text, new RegExp(`\r\n\r\n.*${totalBytes}`, "s"));
  assert.ok(peak.waitingBytes < maxWaitingBytes, String(peak));
});
