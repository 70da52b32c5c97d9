/** The reader that operators use, `go tool pprof`, with profiles of a bundle as we ship it: short names, source map beside it. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "../../..");
const folder = mkdtempSync(join(tmpdir(), "ambit-profile-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Building the tool takes a while the first time. */
const TOOL_DEADLINE_MS = 180_000;

function goPprof(...words: readonly string[]): string {
  return execFileSync("go", ["tool", "pprof", ...words], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: TOOL_DEADLINE_MS,
    // It keeps what it fetched.
    env: { ...process.env, PPROF_TMPDIR: folder },
  });
}

function absent(): string | undefined {
  try {
    goPprof("-h");
  } catch (thrown) {
    const { status, code } = thrown as { status?: number; code?: string };
    // It prints its help and leaves with 2.
    if (code !== undefined || status !== 2) return "go tool pprof is not here";
  }
  return undefined;
}

const source = `
import { startAdminServer } from "${root}/src/shared/admin/http-server.ts";
import { profileRoutes } from "${root}/src/shared/admin/profile-routes.ts";
import { systemClock } from "${root}/src/shared/base/clock.ts";

const kept: object[] = [];
function spendTimeHere(): void {
  const untilMs = performance.now() + 10;
  while (performance.now() < untilMs) kept.push({ at: untilMs, text: String(kept.length) });
  if (kept.length > 500_000) kept.splice(0, 250_000);
}
const server = await startAdminServer({ name: "test", hosts: ["127.0.0.1"], port: 0, routes: profileRoutes(systemClock) });
setInterval(spendTimeHere, 15);
process.stdout.write(String(server.port));
`;

test("go tool pprof reads our profiles, with the names of the source", {
  skip: absent(),
}, async () => {
  const entry = join(folder, "busy.ts");
  writeFileSync(entry, source);
  await build({
    absWorkingDir: root,
    entryPoints: { busy: entry },
    outdir: join(folder, "dist"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: true,
    minify: true,
    logLevel: "error",
    external: ["koffi"],
    nodePaths: [join(root, "node_modules")],
  });
  const child = spawn(process.execPath, [join(folder, "dist/busy.mjs")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [port] = await once(child.stdout, "data");
    const base = `http://127.0.0.1:${port}/debug/pprof`;
    const cpu = goPprof("-top", "-nodecount=10", `${base}/profile?seconds=2&frequency=500`);
    assert.match(cpu, /^File: ambit$/m);
    assert.match(cpu, /^Type: cpu$/m);
    assert.match(cpu, /^Duration: 2(\.\d+)?s, Total samples = \d/m);
    assert.match(cpu, /\d+(ms|s) .* spendTimeHere$/m);
    const files = goPprof("-top", "-files", `${base}/profile?seconds=1`);
    assert.match(files, /busy\.ts$/m);
    const heap = goPprof("-top", `${base}/heap?seconds=2`);
    assert.match(heap, /^Type: inuse_space$/m);
    assert.match(heap, /\d+(\.\d+)?(kB|MB) .* spendTimeHere$/m);
  } finally {
    child.kill("SIGKILL");
  }
});
