import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { PageServer } from "../../../../src/cli/demo/page-server.ts";
import type { PictureState } from "../../../../src/cli/demo/picture.ts";

const state: PictureState = { nodes: [], connections: [], scenes: [], elapsedSeconds: 3, note: "" };

/** Reads until the stream has shown this text. */
async function readUntil(response: Response, wanted: string): Promise<string> {
  let text = "";
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader);
  while (!text.includes(wanted)) {
    const { value, done } = await reader.read();
    assert.ok(!done, `the stream ended after "${text}"`);
    text += value;
  }
  await reader.cancel();
  return text;
}

test("the page, its stream and nothing else, on loopback", async (t) => {
  const server = await PageServer.open(0);
  t.after(() => server.close());
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const page = await fetch(server.url);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  assert.match(await page.text(), /<title>ambit demo<\/title>/);
  assert.equal((await fetch(`${server.url}other`)).status, 404);
  server.publish(state);
  const stream = await fetch(`${server.url}state`);
  assert.match(await readUntil(stream, '"elapsedSeconds":3'), /^data: \{/);
});

test("closing ends the viewers", async () => {
  const server = await PageServer.open(0);
  const port = Number(new URL(server.url).port);
  const viewer = connect(port, "127.0.0.1");
  viewer.write("GET /state HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((resolve) => viewer.once("data", resolve));
  const ended = new Promise((resolve) => viewer.once("close", resolve));
  viewer.resume();
  await server.close();
  await ended;
});
