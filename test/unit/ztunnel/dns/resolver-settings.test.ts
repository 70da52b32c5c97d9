import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { podResolvConfPaths } from "../../../../src/ztunnel/dns/pod-resolv-conf.ts";
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
      { paths: () => ["missing", "pod", "own"], allowLoopback: false },
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
      resolverFromFiles({ paths: () => [], allowLoopback: true }, { monotonicMs: () => 0 })(),
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

describe("podResolvConfPaths", () => {
  it("finds a pod by its name and by a process in it, and searches again when that is gone", (t) => {
    const root = mkdtempSync(join(tmpdir(), "ambit-dns-"));
    t.after(() => rmSync(root, { recursive: true }));
    const roots = {
      proc: join(root, "proc"),
      netns: join(root, "netns"),
      netnsFiles: "/etc/netns",
    };
    mkdirSync(roots.netns);
    mkdirSync(join(roots.proc, "self"), { recursive: true });
    const namespace = join(roots.netns, "pod-1");
    writeFileSync(namespace, "");
    writeFileSync(join(roots.netns, "pod-2"), "");
    const { ino, dev } = statSync(namespace, { bigint: true });
    const start = (pid: string): void => {
      mkdirSync(join(roots.proc, pid, "ns"), { recursive: true });
      linkSync(namespace, join(roots.proc, pid, "ns/net"));
    };
    start("41");
    let nowMs = 0;
    const paths = podResolvConfPaths(
      { inode: ino, device: dev },
      { monotonicMs: () => nowMs },
      roots,
    );
    const named = "/etc/netns/pod-1/resolv.conf";
    const inside = (pid: string): string => join(roots.proc, pid, "root/etc/resolv.conf");
    assert.deepEqual(paths(), [named, inside("41")]);
    rmSync(join(roots.proc, "41"), { recursive: true });
    start("42");
    assert.deepEqual(paths(), [named]);
    nowMs = 60_000;
    assert.deepEqual(paths(), [named, inside("42")]);
  });
  it("finds nothing where nothing can be seen", () => {
    const roots = { proc: "/nowhere", netns: "/nowhere", netnsFiles: "/nowhere" };
    assert.deepEqual(
      podResolvConfPaths({ inode: 1n, device: 1n }, { monotonicMs: () => 0 }, roots)(),
      [],
    );
  });
});
