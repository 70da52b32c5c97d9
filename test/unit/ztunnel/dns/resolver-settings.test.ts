import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readSmallFile, resolverFromFiles } from "../../../../src/ztunnel/dns/resolv-conf-file.ts";
import {
  joinSearchDomains,
  parseResolvConf,
  withoutLoopback,
} from "../../../../src/ztunnel/dns/resolver-settings.ts";

describe("parseResolvConf", () => {
  it("reads a pod's file", () => {
    const text =
      "search ns1.svc.cluster.local Svc.Cluster.Local. corp.example\nnameserver 10.96.0.10\noptions ndots:5\n";
    assert.deepEqual(parseResolvConf(text), {
      nameservers: [{ ip: "10.96.0.10", port: 53 }],
      searchDomains: ["ns1.svc.cluster.local", "svc.cluster.local", "corp.example"],
    });
  });
  it("skips comments, nonsense and more than three nameservers; the last search list wins", () => {
    const text = [
      "# nameserver 1.1.1.1",
      "; x",
      "nameserver not-an-address",
      "nameserver\t2001:db8::1 # first",
      "nameserver 10.0.0.2",
      "nameserver 10.0.0.3",
      "nameserver 10.0.0.4",
      "domain old.example",
      "search new.example",
    ].join("\n");
    const parsed = parseResolvConf(text);
    assert.deepEqual(
      parsed.nameservers.map(({ ip }) => ip),
      ["2001:db8::1", "10.0.0.2", "10.0.0.3"],
    );
    assert.deepEqual(parsed.searchDomains, ["new.example"]);
  });
  it("leaves out loopback where that is another place", () => {
    const parsed = parseResolvConf("nameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2");
    assert.deepEqual(
      withoutLoopback(parsed).nameservers.map(({ ip }) => ip),
      ["10.0.0.2"],
    );
  });
  it("joins search lists, each domain once", () =>
    assert.deepEqual(joinSearchDomains(["a.b", "b"], ["B.", "c", ""]), ["a.b", "b", "c"]));
});

describe("resolverFromFiles", () => {
  it("takes the first file with a usable nameserver and looks again after five seconds", () => {
    let nowMs = 0;
    const files = new Map([
      ["pod", "nameserver 127.0.0.1"],
      ["own", "nameserver 10.0.0.2"],
    ]);
    const reads: string[] = [];
    const resolver = resolverFromFiles(
      { paths: ["missing", "pod", "own"], allowLoopback: false },
      { monotonicMs: () => nowMs },
      (path) => {
        reads.push(path);
        return files.get(path);
      },
    );
    assert.equal(resolver().nameservers[0]?.ip, "10.0.0.2");
    files.set("pod", "nameserver 10.0.0.9");
    assert.equal(resolver().nameservers[0]?.ip, "10.0.0.2");
    assert.deepEqual(reads, ["missing", "pod", "own"]);
    nowMs = 5000;
    assert.equal(resolver().nameservers[0]?.ip, "10.0.0.9");
  });
  it("is empty when nothing can be read", () =>
    assert.deepEqual(
      resolverFromFiles({ paths: [], allowLoopback: true }, { monotonicMs: () => 0 })(),
      {
        nameservers: [],
        searchDomains: [],
      },
    ));
  it("never blocks on what is not a file", (t) => {
    const folder = mkdtempSync(join(tmpdir(), "ambit-dns-"));
    t.after(() => rmSync(folder, { recursive: true }));
    execFileSync("mkfifo", [join(folder, "pipe")]);
    writeFileSync(join(folder, "file"), "nameserver 10.0.0.2");
    assert.equal(readSmallFile(join(folder, "pipe")), undefined);
    assert.equal(readSmallFile(folder), undefined);
    assert.equal(readSmallFile(join(folder, "none")), undefined);
    assert.equal(readSmallFile(join(folder, "file")), "nameserver 10.0.0.2");
  });
});
