/** Resolvers that others wrote against our server: dig, kdig, and c-ares as it is built into Node. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { ipOf } from "../../../src/shared/net/ip.ts";
import {
  FakeNameserver,
  type RunningFixture,
  reply,
  service,
  startServer,
  store,
  workload,
} from "../../unit/ztunnel/dns/fixture.ts";

const run = promisify(execFile);
const headless = "big.ns1.svc.cluster.local";
const view = store(
  [
    service({ hostname: "web.ns1.svc.cluster.local", vips: ["10.96.0.7", "fd00::7"] }),
    service({ hostname: "api.example.com", vips: ["240.240.0.9"], canonical: false }),
    service({ hostname: headless }),
  ],
  Array.from({ length: 74 }, (_, index) =>
    workload({
      uid: `big-${index}`,
      addresses: [ipOf(`10.1.0.${index + 1}`)],
      services: new Map([[`ns1/${headless}` as const, new Map<number, number>()]]),
    }),
  ),
);

/** The reason why a tool cannot be used here, false when it can. `words` make it print its version and end. */
async function missing(tool: string, ...words: string[]): Promise<string | false> {
  try {
    await run(tool, words);
    return false;
  } catch {
    return `${tool} is not installed`;
  }
}
const noDig = await missing("dig", "-v");
const noKdig = await missing("kdig", "--version");
const noNsupdate = await missing("nsupdate", "-V");

let fixture: RunningFixture;
let upstream: FakeNameserver;

before(async () => {
  upstream = await FakeNameserver.start((packet) => {
    // Nobody knows a name with "nobody" in it, and UPDATE is refused.
    const opcode = ((packet[2] ?? 0) >> 3) & 15;
    if (opcode !== 0) {
      const refused = Buffer.from(packet);
      refused.writeUInt16BE(0x8005 | (opcode << 11), 2);
      return refused;
    }
    // Echo the question without the client's EDNS record.
    const end = 12 + Buffer.from(packet.subarray(12)).indexOf(0) + 5;
    const bare = Buffer.from(packet.subarray(0, end));
    bare.writeUInt16BE(0, 10);
    return reply(bare, Buffer.from(packet).includes("nobody") ? 3 : 0);
  });
  fixture = await startServer({
    view,
    resolver: () => ({ nameservers: [upstream.address], searchDomains: [] }),
  });
});

after(async () => {
  fixture.server.stop();
  await upstream.stop();
});

function suite(tool: "dig" | "kdig", skip: string | false): void {
  const ask = async (...words: string[]): Promise<string> => {
    const retries = tool === "dig" ? "+tries=1" : "+retry=0";
    const server = ["@127.0.0.1", "-p", String(fixture.server.port), "+time=5", retries];
    return (await run(tool, [...server, ...words])).stdout;
  };

  describe(tool, { skip }, () => {
    it("gets addresses of both families, authoritative", async () => {
      const text = await ask("web.ns1.svc.cluster.local", "A");
      assert.match(text, /status: NOERROR/);
      assert.match(text, /flags:? qr aa rd ra/i);
      assert.match(text, /web\.ns1\.svc\.cluster\.local\.\s+30\s+IN\s+A\s+10\.96\.0\.7/);
      assert.match(await ask("web.ns1.svc.cluster.local", "AAAA"), /IN\s+AAAA\s+fd00::7/);
    });
    it("gets the alias of a search domain", async () =>
      assert.match(
        await ask("api.example.com.ns1.svc.cluster.local"),
        /CNAME\s+api\.example\.com\.\n+api\.example\.com\.\s+30\s+IN\s+A\s+240\.240\.0\.9/,
      ));
    it("sees an empty answer for the missing family", async () =>
      assert.match(await ask("api.example.com", "AAAA"), /status: NOERROR[\s\S]*ANSWER: 0/));
    it("comes back over TCP for 74 records", async () => {
      const text = await ask(headless, "+noedns");
      assert.match(text, /ANSWER: 74/);
      assert.match(text, /TCP/);
    });
    it("takes 74 records in one datagram with EDNS", async () => {
      const text = await ask(headless, "+bufsize=4096", "+ignore");
      assert.match(text, /ANSWER: 74/);
      assert.doesNotMatch(text, /flags:? qr aa tc/i);
    });
    it("works over TCP from the start", async () =>
      assert.match(await ask("web", "+tcp"), /10\.96\.0\.7/));
    it("is told of an EDNS version that we do not speak", async () =>
      assert.match(
        await ask("web", "+edns=1", ...(tool === "dig" ? ["+noednsneg"] : [])),
        /BADVERS/,
      ));
    it("gets what the nameserver says", async () => {
      assert.match(await ask("www.example.org"), /192\.0\.2\.1/);
      assert.match(await ask("nobody.example.org"), /status: NXDOMAIN/);
    });
  });
}

suite("dig", noDig);
suite("kdig", noKdig);

describe("c-ares", () => {
  it("resolves names of the mesh and of the world", async () => {
    const resolver = new Resolver({ timeout: 5000, tries: 1 });
    resolver.setServers([`127.0.0.1:${fixture.server.port}`]);
    assert.deepEqual(await resolver.resolve4("web.ns1.svc.cluster.local", { ttl: true }), [
      { address: "10.96.0.7", ttl: 30 },
    ]);
    assert.deepEqual(await resolver.resolve6("web.ns1.svc.cluster.local"), ["fd00::7"]);
    assert.equal((await resolver.resolve4(headless)).length, 74);
    assert.deepEqual(await resolver.resolve4("www.example.org"), ["192.0.2.1"]);
    await assert.rejects(resolver.resolve4("nobody.example.org"), { code: "ENOTFOUND" });
  });
});

describe("nsupdate", { skip: noNsupdate }, () => {
  it("hears from the nameserver what became of its update", async () => {
    const child = execFile("nsupdate", ["-t", "5", "-r", "0"]);
    let said = "";
    child.stderr?.on("data", (chunk) => {
      said += chunk;
    });
    child.stdin?.end(
      `server 127.0.0.1 ${fixture.server.port}\nzone example.org\nupdate add a.example.org 60 A 192.0.2.9\nsend\n`,
    );
    await new Promise((resolve) => child.on("close", resolve));
    assert.match(said, /REFUSED/);
  });
});
