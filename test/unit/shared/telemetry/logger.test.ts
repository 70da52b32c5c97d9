import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { createLineWriter } from "../../../../src/shared/telemetry/line-writer.ts";
import { quote, Unquoted } from "../../../../src/shared/telemetry/log-fields.ts";
import {
  createLogger,
  formatTimestamp,
  LogFilter,
} from "../../../../src/shared/telemetry/logger.ts";

function lines(format: "plain" | "json", directives = "info") {
  const written: string[] = [];
  const logger = createLogger(
    {
      clock: { wallMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) + 0.0071 },
      filter: new LogFilter(directives),
      format,
      write: (line) => written.push(line),
    },
    "app",
  );
  return { logger, written };
}

test("plain lines: tabs between the parts, blanks between fields, text quoted, addresses not", () => {
  const { logger, written } = lines("plain");
  logger.info("message", {
    text: 'a "b"',
    count: 3,
    yes: true,
    address: new Unquoted("10.0.0.1:80"),
    absent: undefined,
  });
  logger.scope("xds::client").warn("bare");
  assert.deepEqual(written, [
    '2026-01-02T03:04:05.006007Z\tinfo\tapp\tmessage\ttext="a \\"b\\"" count=3 yes=true address=10.0.0.1:80\n',
    "2026-01-02T03:04:05.006007Z\twarn\txds::client\tbare\n",
  ]);
});

test("JSON lines", () => {
  const { logger, written } = lines("json");
  logger.error("message", { address: new Unquoted("[::1]:80"), absent: undefined, line: "a\nb" });
  assert.deepEqual(JSON.parse(written[0] ?? ""), {
    level: "error",
    time: "2026-01-02T03:04:05.006007Z",
    scope: "app",
    message: "message",
    address: "[::1]:80",
    line: "a\nb",
  });
  assert.equal(written[0]?.split("\n").length, 2, "one line");
});

const quoted: readonly (readonly [string, string])[] = [
  ["plain", '"plain"'],
  ["", '""'],
  ['say "x"', '"say \\"x\\""'],
  ["back\\slash", '"back\\\\slash"'],
  ["tab\tline\nreturn\r", '"tab\\tline\\nreturn\\r"'],
  ["null\0", '"null\\0"'],
  ["escape\u001b[31m", '"escape\\u{1b}[31m"'],
  ["ünïcödé ✓", '"ünïcödé ✓"'],
  ["sep\u2028", '"sep\\u{2028}"'],
];
for (const [text, expected] of quoted) {
  test(`quoted: ${JSON.stringify(text)}`, () => {
    assert.equal(quote(text), expected);
  });
}

test("nothing that is logged can start a line of its own", () => {
  const { logger, written } = lines("plain");
  logger.info("m", { evil: "x\n2026-01-01T00:00:00.000000Z\tinfo\taccess\tforged" });
  assert.equal(written[0]?.split("\n").length, 2);
});

test("filters: longest scope wins, off silences, wrong ones change nothing", () => {
  const filter = new LogFilter("warn,xds=debug,xds::client=off");
  assert.equal(filter.allows("app", "info"), false);
  assert.equal(filter.allows("app", "warn"), true);
  assert.equal(filter.allows("xds::stream", "debug"), true);
  assert.equal(filter.allows("xds::client::x", "error"), false);
  assert.equal(filter.allows("xdsx", "info"), false);
  assert.match(filter.apply("info,app=loud") ?? "", /unknown log level in "app=loud"/);
  assert.equal(filter.toString(), "warn,xds=debug,xds::client=off");
  assert.throws(() => new LogFilter("chatty"), RangeError);
});

test("timestamps have microseconds and never round up into the next second", () => {
  assert.equal(formatTimestamp(Date.UTC(2026, 0, 1) + 999.9995), "2026-01-01T00:00:00.999999Z");
  assert.equal(formatTimestamp(0), "1970-01-01T00:00:00.000000Z");
});

test("the line writer joins lines and loses none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ambit-log-"));
  try {
    const path = join(folder, "log");
    const fd = openSync(path, "w");
    const writer = createLineWriter(fd, systemClock);
    for (let i = 0; i < 5000; i++) writer.write(`line ${i}\n`);
    for (let i = 0; i < 100 && readFileSync(path, "utf8").length === 0; i++) await delay(10);
    writer.write("last\n");
    writer.flush();
    const text = readFileSync(path, "utf8");
    assert.equal(text.split("\n").length, 5002);
    assert.ok(text.startsWith("line 0\nline 1\n") && text.endsWith("line 4999\nlast\n"));
    closeSync(fd);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
