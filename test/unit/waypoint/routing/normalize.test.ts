/** What Envoy 1.40 made of these paths; `test/contract/waypoint/routes/normalize.test.ts` asks it again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { normalizePath } from "../../../../src/waypoint/routing/normalize.ts";

const plain = { normalizePath: true, mergeSlashes: false, escapedSlashes: "keep" } as const;

function normalized(path: string, settings: Parameters<typeof normalizePath>[1] = plain): string {
  const outcome = normalizePath(path, settings);
  if (outcome.kind === "unchanged") return path;
  if (outcome.kind === "reject") return "400";
  return outcome.kind === "redirect" ? `307 ${outcome.path}` : outcome.path;
}

describe("dot segments", () => {
  for (const [path, expected] of [
    ["/a/../b", "/b"],
    ["/a/./b", "/a/b"],
    ["/a/..", "/"],
    ["/a/.", "/a/"],
    ["/..", "/"],
    ["/a/b/../../../c", "/c"],
    ["/a/%2e%2E/b", "/b"],
    ["/a/.%2e/b", "/b"],
    ["/a/...", "/a/..."],
    ["/a/..b", "/a/..b"],
    ["/a//../b", "/a/b"],
    ["///../a", "//a"],
    ["/a?x=/../b", "/a?x=/../b"],
    ["/a/..;x/b", "/b"],
    ["/a/.;", "/a/"],
    ["/a/%2e;/b", "/a/.;/b"],
    ["/a\\..\\c", "/c"],
  ] as const)
    test(path, () => assert.equal(normalized(path), expected));
});

describe("escapes", () => {
  for (const [path, expected] of [
    ["/%41%7e%2d%5f", "/A~-_"],
    ["/%2f%5C%25%c3%a9", "/%2f%5C%25%c3%a9"],
    ['/{x}|^`<>"', "/%7Bx%7D%7C%5E%60%3C%3E%22"],
    ["/%zz%", "/%zz%"],
    ["/%00", "400"],
    // A stray percent sign never becomes an escape by what is decoded behind it.
    ["/%%34%31", "/%2541"],
    ["/%a%41", "/%25aA"],
    ["/%a%7e", "/%a~"],
    ["/a#b", "400"],
    ["/a?b#c", "400"],
  ] as const)
    test(path, () => assert.equal(normalized(path), expected));
});

test("escaped slashes, in each way", () => {
  const path = "/a%2Fb%5c..?q=%2f";
  assert.equal(normalized(path, { ...plain, escapedSlashes: "reject" }), "400");
  assert.equal(normalized(path, { ...plain, escapedSlashes: "unescape-forward" }), "/a/?q=%2f");
  assert.equal(
    normalized(path, { ...plain, escapedSlashes: "unescape-redirect" }),
    "307 /a/?q=%2f",
  );
  assert.equal(normalized("/a?q=%2f", { ...plain, escapedSlashes: "reject" }), "/a?q=%2f");
});

test("slashes are merged after everything else", () => {
  const settings = { ...plain, mergeSlashes: true };
  assert.equal(normalized("//a///b//?x=//", settings), "/a/b/?x=//");
  assert.equal(normalized("/a\\/b", settings), "/a/b");
  assert.equal(normalized("///", settings), "//");
});

test("nothing to do leaves the path itself", () => {
  for (const path of ["/", "/a/b.c?x=%41", "*", ""])
    assert.deepEqual(normalizePath(path, { ...plain, mergeSlashes: true }), { kind: "unchanged" });
  const off = { normalizePath: false, mergeSlashes: false, escapedSlashes: "keep" } as const;
  assert.deepEqual(normalizePath("/a/../%41\\", off), { kind: "unchanged" });
});
