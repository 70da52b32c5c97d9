/**
 * The whole way of a query in an enrolled pod: the pod's own redirection rules, our server in the pod's namespace, and the
 * nameserver beyond. Proves that our own queries pass the rules, and that answers come back from where they were expected.
 */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { commandRedirector } from "../../../src/nodeagent/redirect/apply.ts";
import { Slots } from "../../../src/nodeagent/redirect/slots.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { NetworkNamespace } from "../../../src/shared/os/network-namespace.ts";
import { podNetwork } from "../../../src/shared/os/pod-network.ts";
import { podResolvConfPaths } from "../../../src/ztunnel/dns/pod-resolv-conf.ts";
import { resolverFromFiles } from "../../../src/ztunnel/dns/resolv-conf-file.ts";
import {
  FakeNameserver,
  type RunningFixture,
  reply,
  service,
  startServer,
  store,
} from "../../unit/ztunnel/dns/fixture.ts";

const run = promisify(execFile);
const NAMESPACE = "/run/netns/pod";
const NAMESERVER = "10.9.0.1";
const NAMESERVER_V6 = "fd00:9::1";
const ours = service({ hostname: "web.ns1.svc.cluster.local", vips: ["10.96.0.7"] });

function ip(...words: string[]): void {
  execFileSync("ip", words);
}

let noDig: string | false = false;
try {
  execFileSync("dig", ["-v"], { stdio: "ignore" });
} catch {
  noDig = "dig is not installed";
}

let namespace: NetworkNamespace;
let fixture: RunningFixture;
const upstreams: FakeNameserver[] = [];
const seen = (): number => upstreams.reduce((sum, upstream) => sum + upstream.seen.length, 0);

before(async () => {
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/tmp"]);
  ip("netns", "add", "pod");
  ip("link", "add", "toPod", "type", "veth", "peer", "name", "eth0", "netns", "pod");
  ip("addr", "add", `${NAMESERVER}/24`, "dev", "toPod");
  ip("-6", "addr", "add", `${NAMESERVER_V6}/64`, "dev", "toPod", "nodad");
  ip("link", "set", "toPod", "up");
  for (const command of [
    "link set lo up",
    "link set eth0 up",
    "addr add 10.9.0.2/24 dev eth0",
    "-6 addr add fd00:9::2/64 dev eth0 nodad",
    `route add default via ${NAMESERVER}`,
    `-6 route add default via ${NAMESERVER_V6}`,
  ])
    ip("-n", "pod", ...command.split(" "));
  // A nameserver that ignores EDNS.
  const behavior = (packet: Uint8Array): Uint8Array => {
    const end = 12 + Buffer.from(packet.subarray(12)).indexOf(0) + 5;
    const bare = Buffer.from(packet.subarray(0, end));
    bare.writeUInt16BE(0, 10);
    return reply(bare);
  };
  for (const address of [NAMESERVER, NAMESERVER_V6])
    upstreams.push(await FakeNameserver.start(behavior, address, 53));

  namespace = NetworkNamespace.open(NAMESPACE);
  mkdirSync("/tmp/netns/pod", { recursive: true });
  writeFileSync("/tmp/netns/pod/resolv.conf", `nameserver ${NAMESERVER}\nsearch corp.example\n`);
  const paths = podResolvConfPaths(namespace, systemClock, {
    proc: "/proc",
    netns: "/run/netns",
    netnsFiles: "/tmp/netns",
  });
  fixture = await startServer(
    {
      view: store([ours]),
      network: podNetwork(namespace, systemClock),
      resolver: resolverFromFiles({ paths, allowLoopback: false }, systemClock),
    },
    { port: 15053, mark: 1337, reusePort: true },
  );
  const redirector = commandRedirector({ clock: systemClock, slots: new Slots(1) });
  await redirector.apply(namespace, {
    captureDns: true,
    captureInbound: true,
    virtualInterfaces: [],
  });
});

after(async () => {
  fixture.server.stop();
  for (const upstream of upstreams) await upstream.stop();
  namespace.close();
});

async function dig(...words: string[]): Promise<string> {
  const inPod = [`--net=${NAMESPACE}`, "dig", "+tries=1", "+time=5", "+noall", "+answer"];
  return (await run("nsenter", [...inPod, ...words])).stdout;
}

describe("DNS of an enrolled pod", { skip: noDig }, () => {
  for (const [what, server] of [
    ["its nameserver", NAMESERVER],
    ["a nameserver that does not exist", "192.0.2.53"],
    ["its nameserver over IPv6", NAMESERVER_V6],
  ] as const) {
    for (const protocol of ["+notcp", "+tcp"]) {
      it(`is answered for the mesh when it asks ${what} (${protocol})`, async () => {
        const before = seen();
        const text = await dig(`@${server}`, protocol, "web.ns1.svc.cluster.local");
        assert.match(text, /30\s+IN\s+A\s+10\.96\.0\.7/);
        assert.equal(seen(), before);
      });
      it(`is answered by its nameserver for the world when it asks ${what} (${protocol})`, async () => {
        const before = seen();
        assert.match(await dig(`@${server}`, protocol, "www.example.org"), /IN\s+A\s+192\.0\.2\.1/);
        // Once: our own query is not captured again.
        assert.equal(seen(), before + 1);
      });
    }
  }
  it("has its own search list taken off", async () =>
    assert.match(
      await dig(`@${NAMESERVER}`, "web.ns1.svc.cluster.local.corp.example"),
      /CNAME\s+web\.ns1\.svc\.cluster\.local\./,
    ));
  it("is answered for many queries at once", async () => {
    const names = Array.from({ length: 50 }, (_, index) => (index % 2 ? "web" : `w${index}.org`));
    const texts = await Promise.all(names.map((name) => dig(`@${NAMESERVER}`, name)));
    for (const [index, text] of texts.entries())
      assert.match(text, index % 2 ? /10\.96\.0\.7/ : /192\.0\.2\.1/);
  });
});
