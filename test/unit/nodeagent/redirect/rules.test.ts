/** The scripts as golden text beside this file; UPDATE_GOLDEN=1 writes them anew. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { hostScript, removeHostScript } from "../../../../src/nodeagent/redirect/host-rules.ts";
import {
  type RedirectionOptions,
  redirectionChains,
  releasedChains,
  removeScript,
  replaceScript,
} from "../../../../src/nodeagent/redirect/rules.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";

const plain: RedirectionOptions = { captureDns: true, captureInbound: true, virtualInterfaces: [] };
const scripts: Readonly<Record<string, string>> = {
  plain: replaceScript(redirectionChains(plain)),
  "without-dns": replaceScript(redirectionChains({ ...plain, captureDns: false })),
  "bypass-inbound": replaceScript(redirectionChains({ ...plain, captureInbound: false })),
  "virtual-interfaces": replaceScript(
    redirectionChains({ ...plain, virtualInterfaces: ["tap0", "vnet1"] }),
  ),
  released: replaceScript(releasedChains()),
  removed: removeScript(),
  host: hostScript({ pods: ["fd00:1::11", "10.1.0.12", "10.1.0.11"].map(ipOf), proberUid: 0 }),
  "host-any-prober": hostScript({ pods: [], proberUid: undefined }),
  "host-removed": removeHostScript(),
};

describe("the script", () => {
  for (const [name, script] of Object.entries(scripts))
    it(name, () => {
      const file = resolve(import.meta.dirname, "golden", `${name}.nft`);
      if (process.env["UPDATE_GOLDEN"] !== undefined) writeFileSync(file, script);
      assert.equal(script, readFileSync(file, "utf8"));
    });
});

it("redirects nothing but the packet that opens a TCP connection", () => {
  for (const script of Object.values(scripts)) {
    for (const line of script.split("\n").filter((text) => text.includes("redirect")))
      assert.ok(
        line.includes("udp") || line.includes("tcp flags & (fin | syn | rst | ack) == syn"),
        line,
      );
  }
});

it("never redirects what the proxy itself sends, except from a virtual machine", () => {
  for (const script of Object.values(scripts)) {
    for (const line of script.split("\n").filter((text) => text.includes("redirect")))
      assert.ok(line.includes("meta mark & 0xfff != 0x539") || line.includes("iifname"), line);
  }
});
