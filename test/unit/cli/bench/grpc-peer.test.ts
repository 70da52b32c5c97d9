import assert from "node:assert/strict";
import { test } from "node:test";
import { driveGrpc, serveGrpc } from "../../../../src/cli/bench/loads/grpc-peer.ts";

const work = {
  host: "127.0.0.1",
  connections: 2,
  streamsEach: 3,
  messageBytes: 1_024,
  warmUpMs: 100,
  measuredMs: 200,
};

async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("every stream sends its next message when the last has come back", async () => {
  const port = await freePort();
  const server = await serveGrpc(port);
  try {
    const said: string[] = [];
    const outcome = await driveGrpc({ ...work, port }, (text) => said.push(text));
    assert.deepEqual(said, ["begin\n"]);
    assert.ok(outcome.messages > 6, `${outcome.messages} messages`);
    assert.ok(outcome.latency.p50Ms > 0 && outcome.latency.p999Ms >= outcome.latency.p50Ms);
  } finally {
    server.forceShutdown();
  }
});

test("a server that is not there fails the load", async () => {
  const port = await freePort();
  await assert.rejects(
    driveGrpc({ ...work, port }, () => undefined),
    /UNAVAILABLE/,
  );
});
