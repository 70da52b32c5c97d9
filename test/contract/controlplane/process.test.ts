/** `ambit controlplane` as a process: ports, exit codes, one-line reasons, a stop with clients connected. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { addressType } from "../../../src/controlplane/push/types.ts";
import { DeltaClient, ztunnelNode } from "../../support/delta-client.ts";
import { pod } from "../../support/translate.ts";

const entry = resolve(import.meta.dirname, "../../../src/cli/entry.ts");
let dir: string;
let children: ChildProcess[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ambit-process-"));
  children = [];
  writeFileSync(join(dir, "objects.yaml"), pod("web"));
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

const free = "127.0.0.1:0";

function start(...flags: readonly string[]) {
  const all = [
    ...["--config", join(dir, "objects.yaml"), "--state-dir", join(dir, "state")],
    ...[
      "--grpc-addr",
      free,
      "--secure-grpc-addr",
      free,
      "--http-addr",
      free,
      "--monitoring-addr",
      free,
    ],
    ...flags,
  ];
  const child = spawn(process.execPath, [entry, "controlplane", ...all], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
  });
  const exit = new Promise<number | null>((done) => child.on("exit", done));
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
      const found = pattern.exec(stdout);
      if (found !== null) return found;
      await new Promise((done) => setTimeout(done, 20));
    }
    throw new Error(`not seen in time: ${pattern}\n${stdout}\n${stderr}`);
  };
  return { child, exit, until, stderr: () => stderr };
}

test("a port of 0 is picked and logged; SIGTERM ends it with 0 while a client is connected", async () => {
  const { child, exit, until, stderr } = start();
  const [, address = ""] = await until(/is ready\tgrpc=(\S+)/);
  const client = new DeltaClient(address);
  client.send({ typeUrl: addressType, node: ztunnelNode });
  assert.equal((await client.next()).resources.length, 1);
  const startedMs = performance.now();
  child.kill("SIGTERM");
  await assert.rejects(client.next(), /UNAVAILABLE/);
  assert.equal(await exit, 0);
  assert.ok(performance.now() - startedMs < 3000);
  assert.equal(stderr(), "");
  client.close();
});

test("a busy port is said in one line, with 1", async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  for (const flag of ["--grpc-addr", "--http-addr"]) {
    const { exit, stderr } = start(flag, `127.0.0.1:${port}`);
    assert.equal(await exit, 1);
    assert.match(stderr(), /^ambit: Cannot (listen on|bind) .*EADDRINUSE[^\n]*\n$/);
  }
  server.close();
});

test("objects that are not there: 1; wrong usage: 2", async () => {
  const missing = start("--config", join(dir, "nowhere"));
  assert.equal(await missing.exit, 1);
  assert.match(missing.stderr(), /^ambit: Cannot read objects from .*ENOENT[^\n]*\n$/);
  const wrong = start("--grpc-addr", "nonsense");
  assert.equal(await wrong.exit, 2);
  assert.match(wrong.stderr(), /expected <host>:<port>/);
});
