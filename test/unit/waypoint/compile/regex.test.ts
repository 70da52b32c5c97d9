import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CompileError } from "../../../../src/waypoint/compile/notes.ts";
import { regexOf } from "../../../../src/waypoint/compile/regex.ts";
import { literalOf } from "../../../../src/waypoint/compile/regex-literal.ts";

const matches = (source: string, text: string) => regexOf(source, "regex").fullMatch(text);

test("the whole text has to match", () => {
  assert.equal(matches("a|ab", "ab"), true);
  assert.equal(matches("/a", "/a/b"), false);
  assert.equal(matches("^/a$", "/a"), true);
  assert.equal(matches("(?i)abc", "aBC"), true);
});

describe("RE2 refuses what cannot be done in linear time", () => {
  for (const source of [
    "(?=a)",
    "(a)\\1",
    "a(?<!b)",
    "(",
    "[",
    "a**",
    "(((a{100}){100}){100}){100}",
  ])
    test(source, () =>
      assert.throws(
        () => regexOf(source, "at.here"),
        (thrown: Error) => {
          return thrown instanceof CompileError && thrown.path === "at.here";
        },
      ),
    );
});

test("hostile expressions take time linear in the text", () => {
  for (const source of [
    "(a+)+b",
    "(a|aa)+$",
    "(.*)*x",
    "([a-z]+)*[0-9]",
    "(x+x+)+y",
    "(a?){50}a{50}",
  ]) {
    const regex = regexOf(source, "regex");
    regex.fullMatch("a".repeat(100));
    const started = performance.now();
    assert.equal(regex.fullMatch(`${"a".repeat(60_000)}!`), false, source);
    const tookMs = performance.now() - started;
    assert.ok(tookMs < 1000, `${source} took ${tookMs} ms`);
  }
});

test("replacing", () => {
  const replaced = (source: string, text: string, by: string) =>
    regexOf(source, "regex").replaceAll(text, by);
  assert.equal(replaced("^/api(/?)(.*)", "/api/v1/x", "/\\2"), "/v1/x");
  assert.equal(replaced("/(a|b)", "/a/b/c", "/<\\1>"), "/<a>/<b>/c");
  assert.equal(replaced("a*", "baac", "-"), "-b-c-");
  assert.equal(replaced("x", "abc", "-"), "abc");
  assert.equal(replaced("b", "abc", "\\\\\\0"), "a\\bc");
});

test("what is compared as text gives what the machine gives", () => {
  const piece = fc.constantFrom("/", "a", "b", "\\.", "\\/", "-", "x");
  const end = fc.constantFrom("", ".*", ".+");
  const text = fc
    .array(fc.constantFrom("/", "a", "b", ".", "-", "x", "\n"))
    .map((all) => all.join(""));
  fc.assert(
    fc.property(end, fc.array(piece, { maxLength: 4 }), end, text, (begin, middle, rest, asked) => {
      const source = begin + middle.join("") + rest;
      fc.pre(literalOf(source) !== undefined);
      // A group around it takes the shortcut away and changes nothing else.
      assert.equal(matches(source, asked), matches(`(?:${source})`, asked), source);
    }),
    { numRuns: 2000 },
  );
});
