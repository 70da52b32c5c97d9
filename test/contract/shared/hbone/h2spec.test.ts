/**
 * The cases of h2spec against our server, each a test of its own. h2spec asks with GET and expects DATA, so the handler
 * opens a tunnel for every method, says something, and echoes.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createServer } from "node:tls";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { tunnelAsDuplex } from "../../../../src/shared/hbone/duplex.ts";
import { serveHbone } from "../../../../src/shared/hbone/server.ts";
import { defaultHboneSettings, type IncomingTunnel } from "../../../../src/shared/hbone/tunnel.ts";
import { cacheDir } from "../../../support/cache.ts";
import { portOf, testKeyPair } from "../../../support/hbone.ts";

const binary = process.env["H2SPEC_BIN"] || join(cacheDir, "h2spec-2.2.1", "h2spec");
const missing = existsSync(binary)
  ? false
  : `h2spec is not installed: no ${binary} (built where Go is present), and H2SPEC_BIN names none`;

interface Case {
  readonly name: string;
  /** What it expected and what it got. */
  readonly failure: string | undefined;
}

/** Cases that do not apply, with the reason; a case here that passes is an error too. */
const notApplicable: ReadonlyMap<string, string> = new Map([
  [
    "http2/5.3.1 Sends HEADERS frame that depend on itself",
    "RFC 9113 section 5.3 drops priorities",
  ],
  [
    "http2/5.3.1 Sends PRIORITY frame that depend on itself",
    "RFC 9113 section 5.3 drops priorities",
  ],
  [
    'http2/8.1.2.6 Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
    "the DATA of a tunnel is no message content",
  ],
  [
    'http2/8.1.2.6 Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
    "the DATA of a tunnel is no message content",
  ],
]);

function greetAndEcho(tunnel: IncomingTunnel): void {
  const duplex = tunnelAsDuplex(tunnel.accept([]));
  duplex.on("error", () => duplex.destroy());
  duplex.write("hello");
  duplex.pipe(duplex);
}

async function runCases(): Promise<readonly Case[]> {
  const dir = mkdtempSync(join(tmpdir(), "ambit-h2spec-"));
  // One case sends a frame that is too large for the default, not for what we announce otherwise.
  const settings = { ...defaultHboneSettings("server"), maxFrameBytes: 16_384 };
  const listener = createServer({ ...testKeyPair(), ALPNProtocols: ["h2"] }, (tls) => {
    tls.on("error", () => tls.destroy());
    serveHbone(tls, settings, systemClock, greetAndEcho);
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const report = join(dir, "report.xml");
  const flags = ["--strict", "--tls", "--insecure", "--timeout", "3", "--junit-report", report];
  const child = execFile(binary, [...flags, "--port", String(portOf(listener))]);
  await once(child, "exit");
  listener.close();
  const cases = readReport(readFileSync(report, "utf8"));
  rmSync(dir, { recursive: true });
  return cases;
}

function readReport(xml: string): readonly Case[] {
  const pattern = /<testcase package="([^"]*)" classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs;
  return [...xml.matchAll(pattern)].map(([, section = "", title = "", body = ""]) => ({
    name: `${section} ${title.replaceAll("&#34;", '"').replaceAll("&#39;", "'")}`,
    failure: body.includes("<") ? body.replace(/<[^>]*>/g, "").trim() : undefined,
  }));
}

test("h2spec is installed", { skip: missing }, () => undefined);

describe("h2spec", async () => {
  if (missing !== false) return;
  const cases = await runCases();

  test("the report has all cases", () => {
    assert.equal(cases.length, 146);
    const names = cases.map(({ name }) => name);
    assert.deepEqual(
      [...notApplicable.keys()].filter((name) => !names.includes(name)),
      [],
    );
  });

  for (const { name, failure } of cases) {
    const reason = notApplicable.get(name);
    if (reason === undefined) test(name, () => assert.equal(failure, undefined));
    else test(`${name} (not here: ${reason})`, () => assert.notEqual(failure, undefined));
  }
});
