/** The handshake on a socket: its deadline, and what it leaves unread. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { SocksRefusal, shakeHands } from "../../../../src/ztunnel/proxy/socks5-handshake.ts";
import { FakeClock } from "../../../support/clock.ts";

const sockets: Socket[] = [];
after(() => {
  for (const socket of sockets) socket.destroy();
});

/** Two ends of one connection; ours is paused, as a listener hands it over. */
async function pair(): Promise<{ ours: Socket; theirs: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const theirs = connect({ host: "127.0.0.1", port: address.port, allowHalfOpen: true });
  const [ours] = (await once(server, "connection")) as [Socket];
  server.close();
  sockets.push(ours, theirs);
  return { ours, theirs };
}

const never = new AbortController().signal;
const request = Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 1, 0, 80);

test("what follows the request stays for the next reader", async () => {
  const { ours, theirs } = await pair();
  theirs.end(Buffer.concat([request, Buffer.from("payload")]));
  const { target } = await shakeHands(ours, new FakeClock(), never);
  assert.deepEqual(target, { kind: "address", address: { ip: "10.0.0.1", port: 80 } });
  assert.ok(ours.isPaused());
  let text = "";
  ours.on("data", (chunk) => {
    text += chunk;
  });
  ours.resume();
  await once(ours, "end");
  assert.equal(text, "payload");
});

test("an end right behind the request is for the next reader too", async () => {
  const { ours, theirs } = await pair();
  theirs.end(request);
  await shakeHands(ours, new FakeClock(), never);
  const ended = once(ours, "end");
  ours.resume();
  await ended;
});

test("a client that does not finish is given up after ten seconds", async () => {
  const { ours, theirs } = await pair();
  const clock = new FakeClock();
  const hands = shakeHands(ours, clock, never);
  theirs.write(Uint8Array.of(5, 1, 0));
  await once(theirs, "data");
  await clock.advance(9_999);
  const outcome = assert.rejects(hands, /the client did not finish its handshake/);
  await clock.advance(1);
  await outcome;
  assert.equal(ours.listenerCount("data"), 0);
});

test("the pod's end is the handshake's end", async () => {
  const { ours } = await pair();
  const controller = new AbortController();
  const hands = shakeHands(ours, new FakeClock(), controller.signal);
  controller.abort(new Error("gone"));
  await assert.rejects(hands, /gone/);
  await assert.rejects(shakeHands(ours, new FakeClock(), controller.signal), /gone/);
});

test("a refusal carries its answer", async () => {
  const { ours, theirs } = await pair();
  theirs.write(Uint8Array.of(5, 1, 2));
  await assert.rejects(shakeHands(ours, new FakeClock(), never), (thrown) => {
    assert.ok(thrown instanceof SocksRefusal);
    assert.deepEqual([...thrown.answer], [5, 255]);
    return true;
  });
});
