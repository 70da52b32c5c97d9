import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadOrCreateKey, TOKEN_KEY_FILE } from "../../../../src/shared/identity/key-file.ts";
import { verifyToken } from "../../../../src/shared/identity/token.ts";

const folder = mkdtempSync(join(tmpdir(), "ambit-keys-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a key is made once, readable by its owner only, and found again", () => {
  const path = join(folder, "deep", "key.pem");
  const first = loadOrCreateKey(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(loadOrCreateKey(path).equals(first), true);
  assert.deepEqual(readdirSync(join(folder, "deep")), ["key.pem"]);
});

test("a key that others can read, or that is none, is refused by name", () => {
  const path = join(folder, "open.pem");
  loadOrCreateKey(path);
  chmodSync(path, 0o644);
  assert.throws(() => loadOrCreateKey(path), /open\.pem.*chmod 600/);
  const broken = join(folder, "broken.pem");
  writeFileSync(broken, "hello", { mode: 0o600 });
  assert.throws(() => loadOrCreateKey(broken), /Cannot use the key in ".*broken\.pem"/);
});

function ambitToken(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const entry = join(import.meta.dirname, "../../../../src/cli/entry.ts");
  const child = spawn(process.execPath, [...process.execArgv, entry, "token", ...args]);
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}

test("tokens made by several processes in an empty state directory share one key", async () => {
  const state = join(folder, "state");
  const common = ["--state-dir", state, "--service-account", "istio-system/ztunnel"];
  const runs = await Promise.all([
    ambitToken(...common, "--node", "node1"),
    ambitToken(...common, "--node", "node2", "--ttl", "90s"),
    ambitToken(...common),
  ]);
  const key = createPublicKey(loadOrCreateKey(join(state, TOKEN_KEY_FILE)));
  const nodes = await Promise.all(
    runs.map(async ({ code, out, err }) => {
      assert.equal(code, 0, err);
      assert.match(out, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
      return (await verifyToken(key, out.trim(), Date.now())).node;
    }),
  );
  assert.deepEqual(nodes, ["node1", "node2", undefined]);
  const late = verifyToken(key, runs[1]?.out.trim() ?? "", Date.now() + 130_000);
  await assert.rejects(late, /has expired/);
});

test("a wrong call of the command ends with exit code 2 and says why", async () => {
  for (const args of [
    ["--state-dir", folder],
    ["--state-dir", folder, "--service-account", "nobody"],
    ["--state-dir", folder, "--service-account", "a/b", "--ttl", "soon"],
    ["--state-dir", folder, "--service-account", "a/b", "--ttl", "12h5"],
  ]) {
    const { code, out, err } = await ambitToken(...args);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(err, /error: /);
  }
});
