/** The demo as a user starts it: every check holds, standard output is JSON and nothing else, and nothing stays behind. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { scenes } from "../../src/cli/demo/scenes/all.ts";
import { program } from "../support/program.ts";

/** Every process of a demo inherits this variable, and no other process has it: other tests run the same program. */
class Demo {
  static #count = 0;
  readonly child: ChildProcess;
  readonly #mark: string;

  constructor(args: readonly string[]) {
    this.#mark = `AMBIT_TEST_DEMO=${process.pid}-${Demo.#count++}`;
    const [name = "", value = ""] = this.#mark.split("=");
    const [file = "", ...rest] = program;
    this.child = spawn(file, [...rest, "demo", ...args], {
      env: { ...process.env, [name]: value },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** Command lines of its processes, wherever they run. */
  processes(): string[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => {
        try {
          const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
          if (!environment.includes(this.#mark)) return [];
          return [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")];
        } catch {
          // It ended between the two looks, or belongs to somebody else.
          return [];
        }
      });
  }

  /** Resolves when it has ended. */
  async outcome(): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const output = { stdout: "", stderr: "" };
    this.child.stdout?.on("data", (text) => {
      output.stdout += String(text);
    });
    this.child.stderr?.on("data", (text) => {
      output.stderr += String(text);
    });
    const [code] = (await once(this.child, "close")) as [number | null];
    return { ...output, code };
  }
}

async function until(holds: () => boolean, timeoutMs: number, otherwise: string): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    assert.ok(performance.now() < deadline, otherwise);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("ambit demo --once --json: all checks hold, within 90 seconds", {
  timeout: 120_000,
}, async () => {
  const demo = new Demo(["--once", "--json", "--no-page"]);
  const outcome = await demo.outcome();
  const report = JSON.parse(outcome.stdout) as {
    readonly checks: readonly { name: string; ok: boolean; detail: string }[];
    readonly ok: boolean;
    readonly seconds: number;
  };
  const failed = report.checks.filter(({ ok }) => !ok);
  assert.deepEqual(failed, [], outcome.stderr);
  assert.deepEqual(
    report.checks.map(({ name }) => name),
    scenes.map(({ name }) => name),
  );
  assert.ok(report.checks.length >= 12);
  assert.equal(report.ok, true);
  assert.ok(report.seconds < 90, `it took ${report.seconds} s`);
  assert.equal(outcome.code, 0);
  assert.deepEqual(demo.processes(), []);
});

test("a demo that is killed leaves no process behind", { timeout: 60_000 }, async () => {
  const demo = new Demo(["--no-page"]);
  // Outside, unshare, inside, six applications, and the first roles.
  await until(() => demo.processes().length > 9, 30_000, "the demo did not come up");
  demo.child.kill("SIGKILL");
  await until(() => demo.processes().length === 0, 10_000, "processes were left behind");
});

test("a demo that is told to end does, with all it started", { timeout: 60_000 }, async () => {
  const demo = new Demo(["--no-page"]);
  const ended = demo.outcome();
  await until(() => demo.processes().length > 9, 30_000, "the demo did not come up");
  demo.child.kill("SIGTERM");
  await ended;
  assert.deepEqual(demo.processes(), []);
});
