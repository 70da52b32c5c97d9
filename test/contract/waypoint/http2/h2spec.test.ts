/** The cases of h2spec against our general server, in clear and with prior knowledge, each a test of its own. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { cacheDir } from "../../../support/cache.ts";
import { listen } from "../../../support/waypoint/http2.ts";

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
]);

async function runCases(): Promise<readonly Case[]> {
  const dir = mkdtempSync(join(tmpdir(), "ambit-h2spec-"));
  const stage = await listen();
  const report = join(dir, "report.xml");
  const flags = ["--strict", "--timeout", "3", "--junit-report", report];
  const child = execFile(binary, [...flags, "--port", String(stage.port)]);
  await once(child, "exit");
  await stage.close();
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
