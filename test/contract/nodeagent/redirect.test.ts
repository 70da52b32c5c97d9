/** The redirection against the real kernel: what it captures, what it leaves alone, and that it goes away again. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { after, afterEach, before, describe, it } from "node:test";
import { commandRedirector } from "../../../src/nodeagent/redirect/apply.ts";
import type { RedirectionOptions } from "../../../src/nodeagent/redirect/rules.ts";
import { Slots } from "../../../src/nodeagent/redirect/slots.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { type IpAddress, ipOf } from "../../../src/shared/net/ip.ts";
import type { TcpListener } from "../../../src/shared/os/network.ts";
import { hostNetwork } from "../../../src/shared/os/pod-network.ts";
import { addPod, inPod, layOut, sh, type TestPod } from "../../support/pods.ts";

const MARK = 1337;
const plain: RedirectionOptions = { captureDns: true, captureInbound: true, virtualInterfaces: [] };
const redirector = commandRedirector({ clock: systemClock, slots: new Slots(2) });
const listeners: TcpListener[] = [];

let pod: TestPod;
let peer: TestPod;

/** Answers every connection with a word of its own. */
async function serve(where: TestPod, port: number, word: string, mark?: number): Promise<void> {
  const listener = await where.network.listenTcp(
    { ip: ipOf("::"), port, reusePort: true, transparent: "auto", ...(mark && { mark }) },
    (socket) => {
      socket.on("error", () => undefined);
      socket.write(word);
      socket.pipe(socket);
      socket.resume();
    },
  );
  listeners.push(listener);
}

async function dial(from: TestPod, ip: IpAddress, port: number, mark?: number): Promise<Socket> {
  const socket = await from.network.dialTcp({
    destination: { ip, port },
    timeoutMs: 2000,
    ...(mark && { mark }),
  });
  socket.on("error", () => undefined);
  return socket;
}

/** Which of the servers took the connection. */
async function whoAnswers(
  from: TestPod,
  ip: IpAddress,
  port: number,
  mark?: number,
): Promise<string> {
  const socket = await dial(from, ip, port, mark);
  socket.end();
  return text(socket);
}

function nextChunk(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const deadline = systemClock.after(2000, () => reject(new Error("nothing came back")));
    socket.once("data", (chunk) => {
      deadline.cancel();
      resolve(String(chunk));
    });
    socket.resume();
  });
}

const rulesOf = (where: TestPod): string => inPod(where, "nft list ruleset");
/** Without the link-local address, which the kernel adds by itself a second after a link came up. */
const routingOf = (where: TestPod): string =>
  ["-4", "-6"].map((family) => inPod(where, `ip ${family} rule`)).join("") +
  ["-4", "-6"]
    .flatMap((family) => inPod(where, `ip ${family} route show table all`).split("\n"))
    .filter((line) => !line.includes("fe80:"))
    .join("\n");

before(async () => {
  layOut();
  pod = addPod(1);
  peer = addPod(2);
  for (const [port, word] of [
    [15001, "outbound"],
    [15006, "inbound"],
    [15008, "hbone"],
    [15053, "dns"],
  ] as const)
    await serve(pod, port, word, MARK);
  await serve(pod, 8080, "app");
  await serve(peer, 8080, "peer");
  await serve(peer, 53, "nameserver");
});
afterEach(() => redirector.remove(pod.namespace));
after(async () => {
  for (const listener of listeners) await listener.close();
  pod.namespace.close();
  peer.namespace.close();
});

describe("a captured pod", () => {
  it("has its TCP connections redirected in both families, and the proxy's own left alone", async () => {
    await redirector.apply(pod.namespace, plain);
    for (const family of ["v4", "v6"] as const) {
      assert.equal(await whoAnswers(pod, peer[family], 8080), "outbound");
      assert.equal(await whoAnswers(pod, peer[family], 53), "dns");
      assert.equal(await whoAnswers(pod, peer[family], 8080, MARK), "peer");
      assert.equal(await whoAnswers(peer, pod[family], 8080), "inbound");
      assert.equal(await whoAnswers(peer, pod[family], 15008), "hbone");
      // To itself, by its address and by loopback.
      assert.equal(await whoAnswers(pod, pod[family], 8080), "app");
    }
    assert.equal(await whoAnswers(pod, ipOf("127.0.0.1"), 8080), "app");
    assert.equal(await whoAnswers(pod, ipOf("::1"), 8080), "app");
  });

  it("lets the node's probes through by their address", async () => {
    sh("ip addr add 169.254.7.127/32 dev br0");
    await redirector.apply(pod.namespace, plain);
    const host = hostNetwork(systemClock);
    const destination = { ip: pod.v4, port: 8080 };
    for (const [sourceIp, word] of [
      [ipOf("169.254.7.127"), "app"],
      [ipOf("10.1.0.1"), "inbound"],
    ] as const) {
      const socket = await host.dialTcp({ destination, sourceIp, timeoutMs: 2000 });
      socket.end();
      assert.equal(await text(socket), word);
    }
    sh("ip addr del 169.254.7.127/32 dev br0");
  });

  it("follows its annotations", async () => {
    await redirector.apply(pod.namespace, { ...plain, captureDns: false });
    assert.equal(await whoAnswers(pod, peer.v4, 53), "outbound");
    await redirector.apply(pod.namespace, { ...plain, captureInbound: false });
    assert.equal(await whoAnswers(peer, pod.v4, 8080), "app");
    assert.equal(await whoAnswers(pod, peer.v4, 8080), "outbound");
    await redirector.apply(pod.namespace, { ...plain, virtualInterfaces: ["eth0"] });
    assert.equal(await whoAnswers(peer, pod.v4, 8080), "outbound");
  });
});

describe("applying", () => {
  it("twice is the same as once, and removing leaves the pod as it was", async () => {
    const routing = routingOf(pod);
    assert.equal(rulesOf(pod), "");
    assert.equal(await redirector.isApplied(pod.namespace), false);
    await redirector.apply(pod.namespace, plain);
    const once = rulesOf(pod) + routingOf(pod);
    await redirector.apply(pod.namespace, plain);
    assert.equal(rulesOf(pod) + routingOf(pod), once);
    assert.equal(await redirector.isApplied(pod.namespace), true);
    await redirector.remove(pod.namespace);
    assert.equal(rulesOf(pod), "");
    assert.equal(routingOf(pod), routing);
    await redirector.remove(pod.namespace);
    assert.equal(await whoAnswers(pod, peer.v4, 8080), "peer");
  });

  it("leaves tables of others alone", async () => {
    inPod(pod, "nft add table inet theirs");
    await redirector.apply(pod.namespace, plain);
    await redirector.remove(pod.namespace);
    assert.equal(rulesOf(pod).trim(), "table inet theirs {\n}");
    inPod(pod, "nft delete table inet theirs");
  });

  it("never touches connections that were open before, in either direction", async () => {
    const out = await dial(pod, peer.v4, 8080);
    const into = await dial(peer, pod.v4, 8080);
    assert.equal(await nextChunk(out), "peer");
    assert.equal(await nextChunk(into), "app");
    await redirector.apply(pod.namespace, plain);
    for (const socket of [out, into, out, into]) {
      socket.write("still here");
      assert.equal(await nextChunk(socket), "still here");
    }
    assert.equal(await whoAnswers(pod, peer.v4, 8080), "outbound");
    await redirector.apply(pod.namespace, plain);
    out.write("and again");
    assert.equal(await nextChunk(out), "and again");
    out.destroy();
    into.destroy();
  });

  it("replaces a pod's rules without letting one connection past them", async () => {
    await redirector.apply(pod.namespace, plain);
    let replacing = true;
    const replacements = (async () => {
      for (let i = 0; i < 10; i++) await redirector.apply(pod.namespace, plain);
      replacing = false;
    })();
    let connections = 0;
    while (replacing) {
      assert.equal(await whoAnswers(pod, peer.v4, 8080), "outbound");
      connections++;
    }
    await replacements;
    assert.ok(connections >= 20, `${connections} connections`);
  });
});

describe("releasing", () => {
  it("sends new connections direct while those in the proxy go on to their end", async () => {
    await redirector.apply(pod.namespace, plain);
    const captured = await dial(pod, peer.v4, 8080);
    assert.equal(await nextChunk(captured), "outbound");
    await redirector.release(pod.namespace);
    assert.equal(await whoAnswers(pod, peer.v4, 8080), "peer");
    assert.equal(await whoAnswers(peer, pod.v4, 8080), "app");
    captured.write("last words");
    assert.equal(await nextChunk(captured), "last words");
    captured.destroy();
  });
});

describe("trouble", () => {
  it("in a pod without IPv6 there is none", async () => {
    const four = addPod(3);
    inPod(four, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1");
    await redirector.apply(four.namespace, plain);
    await redirector.remove(four.namespace);
    assert.equal(rulesOf(four), "");
    four.namespace.close();
  });

  it("is told with the place and the reason", async () => {
    const hostile = { ...plain, virtualInterfaces: ["a name that is far too long for it"] };
    await assert.rejects(redirector.apply(pod.namespace, hostile), (thrown) => {
      assert.match(String(thrown), new RegExp(`nft in ${pod.path}: exit code 1: .+`));
      return true;
    });
    assert.equal(rulesOf(pod), "");
  });

  it("names the program that is missing and how to install it", async () => {
    sh("mount -t tmpfs tmpfs /usr/sbin");
    try {
      await assert.rejects(
        redirector.isApplied(pod.namespace),
        /Cannot find the program nft: install it, on Debian with: apt-get install nftables/,
      );
    } finally {
      sh("umount /usr/sbin");
    }
  });
});
