import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CommandIo } from "../../../src/cli/command.ts";
import { main } from "../../../src/cli/main.ts";

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const io: CommandIo = {
    env: {},
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
    shutdown: AbortSignal.abort(new Error("test")),
    kill: new AbortController().signal,
    entry: new URL(import.meta.url),
  };
  const code = await main(["nodeagent", ...args], io);
  return { code, out, err };
}

describe("ambit nodeagent", () => {
  it("explains itself", async () => {
    const { code, out } = await run("--help");
    assert.equal(code, 0);
    for (const option of [
      "--config",
      "--node",
      "--zds",
      "--probes",
      "--cleanup",
      "--release-grace-ms",
    ])
      assert.ok(out.includes(option), option);
  });

  it("refuses a wrong call with exit code 2", async () => {
    const needed = ["--config", "x", "--node", "n"];
    for (const args of [
      [],
      ["--config", "x"],
      [...needed, "--probes", "root"],
      [...needed, "--release-drain-ms", "-1"],
      [...needed, "--log-format", "xml"],
      [...needed, "--log", "shout"],
      [...needed, "--monitoring-addr", "nowhere"],
    ])
      assert.equal((await run(...args)).code, 2, args.join(" "));
  });

  it("fails in one line when there is nothing to read", async () => {
    const { code, err } = await run("--config", "/nowhere/objects", "--node", "n1");
    assert.equal(code, 1);
    assert.match(err, /^ambit: .*\/nowhere\/objects.*\n$/);
  });
});
