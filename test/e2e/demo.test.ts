/** The demo as a user starts it: every check holds, standard output is JSON and nothing else, and nothing stays behind. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { scenes } from "../../src/cli/demo/scenes/all.ts";
import { program } from "../support/program.ts";

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runDemo(args: readonly string[]): Promise<Outcome> {
  const [file = "", ...rest] = program;
  const child = spawn(file, [...rest, "demo", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (text) => {
    output.stdout += String(text);
  });
  child.stderr.on("data", (text) => {
    output.stderr += String(text);
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ ...output, code })));
}

/** Processes of the demo anywhere on the machine. */
function demoProcesses(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return command.includes("ambit.mjs demo") ? [command] : [];
      } catch {
        return [];
      }
    });
}

test("ambit demo --once --json: all checks hold, within 90 seconds", {
  timeout: 120_000,
}, async () => {
  const outcome = await runDemo(["--once", "--json", "--no-page"]);
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
  assert.deepEqual(demoProcesses(), []);
});

test("a demo that is killed leaves no process behind", { timeout: 30_000 }, async () => {
  const [file = "", ...rest] = program;
  const child = spawn(file, [...rest, "demo", "--no-page"], { stdio: "ignore" });
  const deadline = performance.now() + 20_000;
  // Applications are the first that the stage starts.
  while (demoProcesses().length < 6 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(demoProcesses().length >= 6, "the demo did not come up");
  child.kill("SIGKILL");
  while (demoProcesses().length > 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(demoProcesses(), []);
});
