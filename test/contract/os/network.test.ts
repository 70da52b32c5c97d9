/** Sockets of pods against the real kernel: where they live, whose address they carry, what they inherit. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { commandRedirector } from "../../../src/nodeagent/redirect/apply.ts";
import { Slots } from "../../../src/nodeagent/redirect/slots.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import {
  SO_MARK,
  SOL_SOCKET,
  SOL_TCP,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from "../../../src/shared/os/constants.ts";
import type { ListenTcpOptions } from "../../../src/shared/os/network.ts";
import { NetworkNamespace } from "../../../src/shared/os/network-namespace.ts";
import { hostNetwork, isDialTimeout } from "../../../src/shared/os/pod-network.ts";
import { verifyPrivileges } from "../../../src/shared/os/privileges.ts";
import { getInt } from "../../../src/shared/os/socket-options.ts";
import type { TcpConnection } from "../../../src/shared/os/tcp-connection.ts";
import { deferred } from "../../support/deferred.ts";
import { addPod, inPod, layOut, sh, type TestPod } from "../../support/pods.ts";

const MARK = 1337;
const any = ipOf("::");
const listenAny: ListenTcpOptions = { ip: any, port: 0, reusePort: false, transparent: "auto" };
const redirector = commandRedirector({ clock: systemClock, slots: new Slots(2) });

let one: TestPod;
let two: TestPod;

before(() => {
  layOut();
  one = addPod(1);
  two = addPod(2);
});
after(() => {
  one.namespace.close();
  two.namespace.close();
});

const home = readlinkSync("/proc/thread-self/ns/net");
const whereAmI = (): string => readlinkSync("/proc/thread-self/ns/net");
const fdOf = (socket: Socket): number =>
  (socket as unknown as { _handle: { fd: number } })._handle.fd;
/** Everything the other side says; then our side ends too, for sockets are half-open. */
async function hear(socket: Socket): Promise<string> {
  const said = await text(socket);
  socket.end();
  return said;
}
const greet = (greeting: string) => (socket: Socket) => {
  socket.on("error", () => undefined);
  // Paused as it arrives, it would never see the other side's end.
  socket.resume();
  socket.end(greeting);
};

describe("listening in a pod", () => {
  it("is heard at the pod's addresses in both families, and nowhere else", async () => {
    const listener = await one.network.listenTcp(listenAny, greet("pod one"));
    assert.equal(whereAmI(), home);
    const { port } = listener;
    for (const ip of [one.v4, one.v6]) {
      const socket = await two.network.dialTcp({ destination: { ip, port }, timeoutMs: 2000 });
      assert.equal(await hear(socket), "pod one");
    }
    const host = hostNetwork(systemClock);
    await assert.rejects(
      host.dialTcp({ destination: { ip: ipOf("127.0.0.1"), port }, timeoutMs: 2000 }),
      (thrown) => thrown instanceof MeshError && thrown.code === "connect-failed",
    );
    await listener.close();
    assert.equal(whereAmI(), home);
  });

  it("names port, namespace and reason when the port is taken, and shares it when both agree", async () => {
    const first = await one.network.listenTcp({ ...listenAny, port: 15001 }, greet(""));
    await assert.rejects(
      one.network.listenTcp({ ...listenAny, port: 15001 }, greet("")),
      (thrown) =>
        thrown instanceof MeshError &&
        thrown.code === "system-failed" &&
        thrown.message === `listen 15001 in ${one.path}: address already in use`,
    );
    await first.close();
    const shared = { ...listenAny, port: 15001, reusePort: true };
    const old = await one.network.listenTcp(shared, greet("old"));
    const young = await one.network.listenTcp(shared, greet("young"));
    await old.close();
    const destination = { ip: one.v4, port: 15001 };
    const socket = await two.network.dialTcp({ destination, timeoutMs: 2000 });
    assert.equal(await hear(socket), "young");
    await young.close();
  });

  it("hands out paused sockets that inherit mark, no-delay and keepalive", async () => {
    const accepted = deferred<Socket>();
    const listener = await one.network.listenTcp(
      {
        ...listenAny,
        mark: MARK,
        keepAlive: { idleSeconds: 180, intervalSeconds: 170, probes: 9 },
      },
      accepted.resolve,
    );
    const destination = { ip: one.v4, port: listener.port };
    const dialed = await two.network.dialTcp({ destination, mark: MARK, timeoutMs: 2000 });
    const socket = await accepted.promise;
    assert.equal(socket.isPaused(), true);
    assert.equal(dialed.isPaused(), true);
    for (const end of [socket, dialed]) {
      assert.equal(getInt(fdOf(end), SOL_SOCKET, SO_MARK), MARK);
      assert.notEqual(getInt(fdOf(end), SOL_TCP, TCP_NODELAY), 0);
    }
    assert.equal(getInt(fdOf(socket), SOL_TCP, TCP_KEEPIDLE), 180);
    assert.equal(getInt(fdOf(socket), SOL_TCP, TCP_KEEPINTVL), 170);
    assert.equal(getInt(fdOf(socket), SOL_TCP, TCP_KEEPCNT), 9);
    assert.deepEqual(one.network.peerAddress(socket)?.ip, two.v4);
    // Half-open both ways: the end of one direction leaves the other open.
    dialed.end("question");
    assert.equal(await text(socket), "question");
    socket.end("answer");
    assert.equal(await text(dialed), "answer");
    await listener.close();
  });

  it("grants transparency as asked", async () => {
    const required = await one.network.listenTcp(
      { ...listenAny, transparent: "required" },
      greet(""),
    );
    const never = await one.network.listenTcp({ ...listenAny, transparent: "never" }, greet(""));
    assert.deepEqual([required.transparent, never.transparent], [true, false]);
    await required.close();
    await never.close();
  });

  it("knows whether the pod has an IPv6 loopback", () => {
    assert.equal(one.network.hasIpv6Loopback(), true);
    inPod(two, "sysctl -qw net.ipv6.conf.lo.disable_ipv6=1");
    assert.equal(two.network.hasIpv6Loopback(), false);
    inPod(two, "sysctl -qw net.ipv6.conf.lo.disable_ipv6=0");
  });
});

describe("redirected connections", () => {
  before(() =>
    redirector.apply(one.namespace, {
      captureDns: true,
      captureInbound: true,
      virtualInterfaces: [],
    }),
  );
  after(() => redirector.remove(one.namespace));

  it("tell their original destination in both families, out and in", async () => {
    const seen: string[] = [];
    const record = (connection: TcpConnection): void => {
      const { originalDestination } = one.network;
      seen.push(`${originalDestination(connection)?.ip} from ${connection.peer.ip}`);
      connection.close();
    };
    const outbound = await one.network.acceptTcp({ ...listenAny, port: 15001, mark: MARK }, record);
    const inbound = await one.network.acceptTcp({ ...listenAny, port: 15006, mark: MARK }, record);
    for (const ip of [ipOf("10.1.0.77"), ipOf("fd00:1::77")]) {
      const destination = { ip, port: 8080 };
      const socket = await one.network.dialTcp({ destination, timeoutMs: 2000 });
      assert.equal(await hear(socket), "");
    }
    for (const ip of [one.v4, one.v6]) {
      const destination = { ip, port: 8080 };
      const socket = await two.network.dialTcp({ destination, timeoutMs: 2000 });
      assert.equal(await hear(socket), "");
    }
    assert.deepEqual(seen, [
      `10.1.0.77 from ${one.v4}`,
      `fd00:1::77 from ${one.v6}`,
      `${one.v4} from ${two.v4}`,
      `${one.v6} from ${two.v6}`,
    ]);
    await outbound.close();
    await inbound.close();
  });

  it("reach the application under the client's address, and its answers come back", async () => {
    const peers: (string | undefined)[] = [];
    const app = await one.network.listenTcp(listenAny, (socket) => {
      peers.push(one.network.peerAddress(socket)?.ip);
      socket.resume();
      socket.end("from the app");
    });
    for (const [ip, client] of [
      [one.v4, ipOf("10.1.0.99")],
      [one.v6, ipOf("fd00:1::99")],
      // A client outside of every network the pod knows.
      [one.v4, ipOf("192.0.2.7")],
    ] as const) {
      const socket = await one.network.dialTcp({
        destination: { ip, port: app.port },
        sourceIp: client,
        mark: MARK,
        timeoutMs: 2000,
        onSourceRefused: assert.fail,
      });
      assert.equal(await hear(socket), "from the app");
    }
    assert.deepEqual(peers, ["10.1.0.99", "fd00:1::99", "192.0.2.7"]);
    await app.close();
  });
});

describe("dialing", () => {
  it("goes on with the own address when the source is refused", async () => {
    const app = await one.network.listenTcp(listenAny, greet("ok"));
    let refused = "";
    const socket = await two.network.dialTcp({
      destination: { ip: one.v4, port: app.port },
      sourceIp: ipOf("fd00:1::99"),
      timeoutMs: 2000,
      onSourceRefused: (reason) => {
        refused = reason;
      },
    });
    assert.equal(await hear(socket), "ok");
    assert.equal(refused, "the families differ");
    await app.close();
  });

  it("ends at its deadline, and when it is aborted", async () => {
    const destination = { ip: ipOf("10.1.0.250"), port: 80 };
    await assert.rejects(
      one.network.dialTcp({ destination, timeoutMs: 100 }),
      (thrown) =>
        isDialTimeout(thrown) &&
        thrown instanceof MeshError &&
        thrown.message === "connect 10.1.0.250:80: timed out after 100 ms",
    );
    const abort = new AbortController();
    const dial = one.network.dialTcp({ destination, timeoutMs: 5000, signal: abort.signal });
    const { signal } = abort;
    const bare = Promise.resolve(one.network.connectTcp({ destination, timeoutMs: 5000, signal }));
    abort.abort(new Error("no longer wanted"));
    await assert.rejects(dial, /no longer wanted/);
    await assert.rejects(bare, /no longer wanted/);
    await assert.rejects(
      async () => one.network.connectTcp({ destination, timeoutMs: 100 }),
      (thrown) => isDialTimeout(thrown) && thrown instanceof MeshError,
    );
  });

  it("leaves nothing behind after a thousand connections", async () => {
    const app = await one.network.listenTcp(listenAny, greet("x"));
    const destination = { ip: one.v4, port: app.port };
    const round = async (): Promise<void> => {
      const socket = await two.network.dialTcp({ destination, timeoutMs: 5000 });
      await hear(socket);
    };
    await round();
    const before = readdirSync("/proc/self/fd").length;
    for (let i = 0; i < 100; i++) await Promise.all(Array.from({ length: 10 }, round));
    await systemClock.sleep(50);
    assert.ok(readdirSync("/proc/self/fd").length <= before + 2);
    assert.equal(whereAmI(), home);
    await app.close();
  });
});

it("exchanges datagrams inside the pod", async () => {
  const loopback = ipOf("127.0.0.1");
  const bind = { ip: loopback, port: 0, reusePort: true, mark: MARK };
  const server = await one.network.bindUdp(bind);
  const client = await one.network.bindUdp(bind);
  server.on("message", (message, from) => server.send(`re: ${message}`, from.port, from.address));
  const answer = deferred<string>();
  client.on("message", (message) => answer.resolve(String(message)));
  client.send("query", server.address().port, "127.0.0.1");
  assert.equal(await answer.promise, "re: query");
  server.close();
  client.close();
});

describe("namespaces", () => {
  it("are compared by what they are, not by their path", () => {
    sh("touch /run/alias && mount --bind /run/netns/pod1 /run/alias");
    const alias = NetworkNamespace.open("/run/alias");
    assert.equal(alias.sameAs(one.namespace), true);
    assert.equal(alias.sameAs(two.namespace), false);
    alias.close();
    assert.throws(() => alias.enter(() => undefined), /closed/);
  });

  it("are refused when they are something else", () => {
    for (const [path, reason] of [
      ["/run/nowhere", "Cannot open network namespace /run/nowhere: no such file or directory"],
      ["/etc/passwd", "Cannot use network namespace /etc/passwd: not a network namespace"],
      [
        "/proc/self/ns/mnt",
        "Cannot use network namespace /proc/self/ns/mnt: not a network namespace",
      ],
    ] as const)
      assert.throws(
        () => NetworkNamespace.open(path),
        (thrown) => thrown instanceof MeshError && thrown.message === reason,
      );
  });

  it("let the thread go home when the work inside fails", () => {
    assert.throws(() =>
      one.namespace.enter(() => {
        assert.notEqual(whereAmI(), home);
        throw new Error("inside");
      }),
    );
    assert.equal(whereAmI(), home);
  });

  it("may be entered, and sockets marked, by this process", () => {
    verifyPrivileges(MARK);
  });
});
