/** Handshakes that do not come to an end by themselves: deadline, signal, and peers that leave, break off or talk nonsense. */
import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { readdirSync } from "node:fs";
import type net from "node:net";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import { FakeClock } from "../../../support/clock.ts";
import {
  asClient,
  asServer,
  type Carrier,
  carriers,
  closeLink,
  isClosed,
  type Link,
  Links,
  type Session,
  type Shaking,
} from "./carriers.ts";
import { newRoot, newWorkload, spiffe } from "./pki.ts";

const links = await Links.open();
after(() => links.close());

const root = newRoot();
const web = newWorkload(root, { uris: [spiffe("shop/web")] });
const catalog = newWorkload(root, { uris: [spiffe("shop/catalog")] });

type Role = "client" | "server";
const descriptors = (): number => readdirSync("/proc/self/fd").length;

function shake(role: Role, link: Link, shaking: Partial<Shaking> = {}): Promise<Session> {
  return role === "client"
    ? asClient(link, { certificate: web, ...shaking }, [spiffe("shop/catalog")])
    : asServer(link, { certificate: catalog, ...shaking });
}

async function reasonOf(attempt: Promise<unknown>): Promise<unknown> {
  try {
    await attempt;
  } catch (thrown) {
    return thrown;
  }
  return assert.fail("handshake came about");
}

async function refusal(attempt: Promise<unknown>): Promise<string> {
  const reason = await reasonOf(attempt);
  assert.ok(reason instanceof MeshError, String(reason));
  assert.equal(reason.code, "tls-failed");
  assert.match(reason.message, /^tls error: /);
  return reason.message;
}

/** One test for each carrier and role, against a plain socket; both ends must be gone at its end. */
function each(
  name: string,
  body: (role: Role, near: Link, far: net.Socket, carrier: Carrier) => Promise<void>,
): void {
  for (const carrier of carriers)
    for (const role of ["client", "server"] as const)
      test(`${carrier} ${role}: ${name}`, async () => {
        const before = descriptors();
        const [near, far] = await links.facing(carrier);
        far.on("error", () => undefined);
        await body(role, near, far, carrier);
        assert.equal(isClosed(near), true);
        far.destroy();
        await settled(before);
      });
}

/** Node closes descriptors some turns later. */
async function settled(expected: number): Promise<void> {
  for (let turn = 0; descriptors() > expected && turn < 200; turn++) await setImmediate();
  assert.equal(descriptors(), expected);
}

each("a silent peer is given up after ten seconds, and hears of it", async (role, near, far) => {
  const clock = new FakeClock();
  const heard = once(far.resume(), "end");
  const attempt = refusal(shake(role, near, { clock }));
  assert.equal(clock.pending, 1);
  await clock.advance(9_999);
  assert.equal(isClosed(near), false);
  await clock.advance(1);
  assert.equal(await attempt, "tls error: handshake not finished after 10000 ms");
  assert.equal(clock.pending, 0);
  await heard;
});

each("the deadline is that of the caller", async (role, near) => {
  const clock = new FakeClock();
  const attempt = refusal(shake(role, near, { clock, timeoutMs: 50 }));
  await clock.advance(50);
  assert.equal(await attempt, "tls error: handshake not finished after 50 ms");
});

each("a peer that stops in the midst is given up too", async (role, near, far) => {
  const clock = new FakeClock();
  const attempt = refusal(shake(role, near, { clock, timeoutMs: 2000 }));
  // The header of a handshake record of which nothing more comes.
  far.write(Buffer.from("1603010200", "hex"));
  await setImmediate();
  await clock.advance(2000);
  assert.equal(await attempt, "tls error: handshake not finished after 2000 ms");
});

each(
  "the signal ends it with its own reason, and nobody listens to it any longer",
  async (role, near, far) => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const { signal } = controller;
    const heard = once(far.resume(), "end");
    const attempt = reasonOf(shake(role, near, { clock, signal }));
    assert.equal(getEventListeners(signal, "abort").length, 1);
    const reason = new Error("drained");
    controller.abort(reason);
    assert.equal(await attempt, reason);
    assert.equal(getEventListeners(signal, "abort").length, 0);
    assert.equal(clock.pending, 0);
    await heard;
  },
);

each(
  "a signal that is aborted already ends it before anything is sent",
  async (role, near, far) => {
    const clock = new FakeClock();
    far.on("data", () => assert.fail("something was sent"));
    const heard = once(far, "end");
    const reason = new Error("drained before");
    const signal = AbortSignal.abort(reason);
    assert.equal(await reasonOf(shake(role, near, { clock, signal })), reason);
    assert.equal(clock.pending, 0);
    assert.equal(getEventListeners(signal, "abort").length, 0);
    await heard;
  },
);

each("a connection that is closed already is an error", async (role, near) => {
  const clock = new FakeClock();
  closeLink(near);
  assert.equal(await refusal(shake(role, near, { clock })), "tls error: connection is closed");
  assert.equal(clock.pending, 0);
});

for (const [name, act, expected] of [
  ["that ends", (far: net.Socket) => far.end(), /closed|disconnected|hang up/],
  ["that breaks off", (far: net.Socket) => far.resetAndDestroy(), /closed|reset|hang up/i],
  [
    "that speaks HTTP",
    (far: net.Socket) => far.end("GET / HTTP/1.1\r\n\r\n"),
    /http request|wrong version/i,
  ],
  [
    "that ends in the midst of a record",
    (far: net.Socket) => far.end(Buffer.from("16030102000100", "hex")),
    /closed|disconnected|hang up/,
  ],
  [
    "that sends an alert",
    (far: net.Socket) => far.end(Buffer.from("15030300020228", "hex")),
    /alert handshake failure|unexpected message/,
  ],
] as const) {
  each(`a peer ${name} is an error`, async (role, near, far) => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    const attempt = refusal(shake(role, near, { clock, signal }));
    act(far);
    assert.match(await attempt, expected);
    assert.equal(clock.pending, 0);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
}

each(
  "a message that has no place there is answered with an alert before the end",
  async (role, near, far) => {
    const heard = once(far, "end");
    const attempt = refusal(shake(role, near));
    const chunks: Buffer[] = [];
    far.on("data", (chunk: Buffer) => chunks.push(chunk));
    // "Finished" as the first message, and more behind it, which nobody reads.
    far.write(Buffer.from("160301000414000000", "hex"));
    far.write(Buffer.alloc(40_000));
    assert.match(await attempt, /unexpected message/);
    await heard;
    // RFC 8446 section 6: a record of type 21 with "fatal" and unexpected_message(10). A client's hello came before it.
    const alert = Buffer.concat(chunks).subarray(-7).toString("hex");
    assert.match(alert, /^1503010002020a$|^1503030002020a$/);
  },
);

function opened(results: readonly PromiseSettledResult<Session>[]): Session[] {
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

for (const carrier of carriers) {
  const shakeBoth = async (
    client: WorkloadCertificate,
    shaking: Partial<Shaking>,
  ): Promise<PromiseSettledResult<Session>[]> => {
    const [near, far] = await links.pair(carrier, carrier);
    return Promise.allSettled([
      shake("client", near, { ...shaking, certificate: client }),
      shake("server", far, shaking),
    ]);
  };

  test(`${carrier}: after a success neither timer nor listener is left, and the signal has no hold on it`, async () => {
    const before = descriptors();
    const clock = new FakeClock();
    const controller = new AbortController();
    const { signal } = controller;
    const sessions = opened(await shakeBoth(web, { clock, signal }));
    assert.equal(clock.pending, 0);
    assert.equal(getEventListeners(signal, "abort").length, 0);
    controller.abort(new Error("too late"));
    await clock.advance(20_000);
    const [client, server] = sessions;
    client?.end("still here");
    assert.equal(await server?.text, "still here");
    for (const session of sessions) session.close();
    await settled(before);
  });

  test(`${carrier}: many that fail leave no descriptor and no timer`, async () => {
    const foreign = newWorkload(newRoot("foreign"), { roots: [root.certificate] });
    const clock = new FakeClock();
    const before = descriptors();
    const all = await Promise.all(Array.from({ length: 20 }, () => shakeBoth(foreign, { clock })));
    for (const [client, server] of all) {
      assert.equal(server?.status, "rejected");
      // TLS 1.3: its own part was done.
      if (client?.status === "fulfilled") await client.value.failure;
    }
    assert.equal(clock.pending, 0);
    await settled(before);
  });
}

test("bare: handshakes that fail leave no memory of OpenSSL behind", async () => {
  const clock = new FakeClock();
  const abandon = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const [near, far] = await links.pair("bare", "bare");
      const controller = new AbortController();
      const attempt = reasonOf(shake("client", near, { clock, signal: controller.signal }));
      controller.abort(new Error("drained"));
      await attempt;
      closeLink(far);
    }
  };
  await abandon(300);
  const before = process.memoryUsage.rss();
  await abandon(1000);
  // Each would leave some 45 KB; what grows otherwise (5 MB seen) is the heap.
  const grownBytes = process.memoryUsage.rss() - before;
  assert.ok(grownBytes < 20_000_000, `${grownBytes} octets`);
});
