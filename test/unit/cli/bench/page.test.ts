/** The page as a reader without network meets it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { readReport, writeReport, writeViews } from "../../../../src/cli/bench/report/files.ts";
import { renderHtml } from "../../../../src/cli/bench/report/page/page.ts";
import { larger, reportOf, result, run } from "./results.ts";

function countOf(page: string, pattern: RegExp): number {
  return page.match(pattern)?.length ?? 0;
}

const three = [run("direct", 50_000), run("ambit", 25_000, 40), run("sidecars", 5_000, 120)];

test("it fetches nothing, and fits narrow and dark screens", () => {
  const page = renderHtml(reportOf(three));
  assert.doesNotMatch(page, /https?:\/\/|<script|<link|@import|src=|url\(/);
  assert.match(page, /<meta name="viewport" content="width=device-width/);
  assert.match(page, /prefers-color-scheme: dark/);
});

test("what was read from the machine is text", () => {
  assert.match(renderHtml(reportOf(three)), /a &#60;CPU&#62;/);
});

test("every stack has its bars, and absent ones their reason", () => {
  const page = renderHtml(reportOf(three));
  assert.equal(countOf(page, /class="bar sidecars"/g), 3);
  assert.match(page, /<li>ztunnel: ZTUNNEL_BIN names no binary<\/li>/);
  assert.match(page, /HPACK: decode/);
});

describe("the first screen", () => {
  const cost = (vcpu: number, mb: number): Parameters<typeof result>[1] => [
    ["rate-32", "CPU", "us CPU/request", vcpu * 1_000],
    ["rate-32", "data path", "MB", mb],
  ];
  const first = (page: string): string => page.slice(0, page.indexOf("<nav>"));
  test("has ambit's figures, times no mesh and times sidecars", () => {
    const text = first(renderHtml(reportOf(three))).replace(/<[^>]+>/g, " ");
    assert.match(text, /against no mesh +against sidecars/);
    assert.match(text, /requests, 32 clients 1\/s ↑ +25\.0k +0\.50× +5\.00×/);
    assert.match(text, /One round says nothing about the spread/);
  });
  test("says what 1000 requests a second cost, where that was measured", () => {
    const results = [result("ambit", cost(0.29, 140)), result("sidecars", cost(0.55, 180))];
    const text = first(renderHtml(reportOf(results))).replace(/<[^>]+>/g, "");
    assert.match(text, /cost, in all proxies together: 0\.29 vCPU, 140 MB with ambit; 0\.55 vCPU/);
    assert.doesNotMatch(first(renderHtml(reportOf(three))), /in all proxies together/);
  });
  test("shows spread, and tells better from worse only beyond it", () => {
    const rounds = [
      ...[20, 22].map((value) => run("ambit", value, value)),
      ...[10, 11].map((value) => run("sidecars", value, value)),
      ...[15, 30].map((value) => run("ztunnel", value, value)),
      ...[80, 90].map((value) => run("direct", value)),
    ];
    const page = first(renderHtml({ ...reportOf(rounds), rounds: 2 }));
    assert.match(page, /<td class="better">2\.00×<small>1\.82\.\.2\.20<\/small>/);
    assert.match(page, /<td class="worse">2\.00×<small>1\.82\.\.2\.20<\/small>/);
    assert.match(page, /<td>~0\.93×/);
    // Every mesh is worse than none.
    assert.match(page, /<td>0\.25×/);
  });
});

test("whatever has a plot or a table says how it is measured again", () => {
  const page = renderHtml(reportOf([run("direct", 50_000), ...larger]));
  const sections = page.match(/<section id="(?!environment)[\s\S]*?<\/section>/g) ?? [];
  assert.ok(sections.length > 5);
  for (const text of sections) assert.equal(countOf(text, /class="again"/g), 1, text.slice(0, 80));
  assert.match(
    page,
    /npm run bench -- --stacks ambit --loads cold,http-32,connections --contents 10000w --rounds 1/,
  );
  assert.match(page, /npm run bench -- micro/);
  const links = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
  assert.deepEqual(
    links,
    [...page.matchAll(/<section id="([^"]+)"/g)].map(([, id]) => id),
  );
});

test("bars are as long as what they show, within their track", () => {
  const rounds = [10, 30, 40].map((value) => run("ambit", value));
  const page = renderHtml({ ...reportOf(rounds), rounds: 3 });
  assert.match(page, /class="bar ambit" style="width:75\.00%"/);
  assert.match(page, /class="spread" style="left:25\.00%;width:75\.00%"/);
});

test("loads that took part in fewer rounds are named", () => {
  const rounds = [run("ambit", 1), run("ambit", 2), result("ambit", [["sizes", "rate", "1/s", 3]])];
  const page = renderHtml({ ...reportOf(rounds), rounds: 2 });
  assert.match(page, /Fewer rounds than 2: sizes\./);
  assert.doesNotMatch(renderHtml(reportOf(rounds)), /Fewer rounds/);
});

test("what may be the load generator's limit is marked, with the reason", () => {
  const page = renderHtml(reportOf([run("direct", 50_000), run("ambit", 45_000)]));
  assert.match(page, /45\.0k !/);
  assert.match(page, /! ambit: it is 90 % of what goes without a mesh/);
});

describe("a report that is kept", () => {
  const folder = mkdtempSync(join(tmpdir(), "ambit-report-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "report.json");
  test("is shown again as it was", () => {
    writeReport(folder, reportOf(three));
    const page = readFileSync(join(folder, "report.html"), "utf8");
    writeViews(folder, readReport(file));
    assert.equal(readFileSync(join(folder, "report.html"), "utf8"), page);
    assert.match(readFileSync(join(folder, "summary.md"), "utf8"), /^# Report/);
  });
  for (const [text, reason] of [
    ["{", /JSON/],
    ["{}", /it is no report of a benchmark/],
    ["null", /it is no report of a benchmark/],
  ] as const)
    test(`is not ${text}`, () => {
      writeFileSync(file, text);
      assert.throws(() => readReport(file), reason);
    });
});
