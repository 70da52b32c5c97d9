/**
 * The independent conformance suite, where somebody has it (H2SPEC_BIN, or `h2spec` on the path;
 * `go install github.com/summerwind/h2spec/cmd/h2spec@latest`). What fails is listed here with its reason.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { createServer } from "node:tls";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { tunnelAsDuplex } from "../../../../src/shared/hbone/duplex.ts";
import { serveHbone } from "../../../../src/shared/hbone/server.ts";
import { defaultHboneSettings } from "../../../../src/shared/hbone/tunnel.ts";
import { portOf, testKeyPair } from "../../../support/hbone.ts";

const program = process.env["H2SPEC_BIN"] ?? "h2spec";
const installed = spawnSync(program, ["--version"]).status === 0;

/** RFC 9113 dropped priorities; nobody but the handler of a plain request could compare a body with its length. */
const known: readonly string[] = [
  "Sends HEADERS frame that depend on itself",
  "Sends PRIORITY frame that depend on itself",
  'Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
  'Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
];

test("h2spec", { skip: installed ? false : "h2spec is not installed" }, async () => {
  const settings = { ...defaultHboneSettings("server"), maxFrameBytes: 16_384, maxStreams: 100 };
  const server = createServer({ ...testKeyPair(), ALPNProtocols: ["h2"] }, (tls) => {
    serveHbone(tls, settings, systemClock, (tunnel) => {
      const stream = tunnelAsDuplex(tunnel.accept([])).resume();
      stream.on("error", () => stream.destroy());
      stream.on("end", () => stream.end("ok"));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const args = ["-h", "127.0.0.1", "-p", String(portOf(server)), "-t", "-k", "-o", "2"];
  const report = await new Promise<string>((resolve) => {
    execFile(program, args, { timeout: 100_000 }, (_error, stdout) => resolve(stdout));
  });
  server.close();
  assert.match(report, /\d+ tests, \d+ passed/);
  const failed = [...report.matchAll(/^\s*× \d+: (.*)$/gm)].map((match) => match[1] ?? "");
  assert.deepEqual(
    failed.filter((name) => !known.includes(name)),
    [],
  );
});
