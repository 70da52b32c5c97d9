/** Random paths through Envoy's normalization and ours, with all settings. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { normalizePath } from "../../../../src/waypoint/routing/normalize.ts";
import { type Envoy, withoutEnvoy } from "../../../support/envoy.ts";
import { Dice } from "./random.ts";
import { askEnvoy, envoyWith } from "./rig.ts";

const pieces = "/ / / . .. %2e %2E %2f %5C \\ ; a b %41 %7e %zz % { ? // = %25 %3b - %00".split(
  " ",
);

const settings = {
  plain: { normalizePath: true, mergeSlashes: false, escapedSlashes: "keep" },
  merged: { normalizePath: true, mergeSlashes: true, escapedSlashes: "keep" },
  unescaped: { normalizePath: true, mergeSlashes: true, escapedSlashes: "unescape-forward" },
  redirected: { normalizePath: true, mergeSlashes: false, escapedSlashes: "unescape-redirect" },
  rejected: { normalizePath: true, mergeSlashes: false, escapedSlashes: "reject" },
  off: { normalizePath: false, mergeSlashes: false, escapedSlashes: "keep" },
} as const;

const actions = {
  keep: "KEEP_UNCHANGED",
  reject: "REJECT_REQUEST",
  "unescape-forward": "UNESCAPE_AND_FORWARD",
  "unescape-redirect": "UNESCAPE_AND_REDIRECT",
};

const echo = {
  virtual_hosts: [
    {
      name: "echo",
      domains: ["*"],
      routes: [
        {
          match: { prefix: "" },
          direct_response: { status: 200 },
          response_headers_to_add: [{ header: { key: "x-route", value: "%REQ(:PATH)%" } }],
        },
      ],
    },
  ],
};

describe("paths as Envoy normalizes them", { skip: withoutEnvoy }, () => {
  let envoy: Envoy;

  before(async () => {
    const configs = Object.fromEntries(Object.keys(settings).map((name) => [name, echo]));
    const options = Object.fromEntries(
      Object.entries(settings).map(([name, one]) => [
        name,
        {
          normalize_path: one.normalizePath,
          merge_slashes: one.mergeSlashes,
          path_with_escaped_slashes_action: actions[one.escapedSlashes],
        },
      ]),
    );
    envoy = await envoyWith(configs, 1, options);
  });

  after(() => envoy?.stop());

  for (const [name, own] of Object.entries(settings))
    test(name, async () => {
      const dice = new Dice(Number(process.env["ROUTES_SEED"] ?? 4711));
      for (let round = 0; round < 300; round++) {
        const path = `/${dice.some(pieces, 8).join("")}`;
        const theirs = await askEnvoy(envoy.port(name), { path });
        const expected = expectedOf(path, own);
        assert.deepEqual(expected, [theirs.status, theirs.route, theirs.location], path);
      }
    });
});

/** Status, path that a route saw, Location. */
function expectedOf(path: string, own: Parameters<typeof normalizePath>[1]) {
  const ours = normalizePath(path, own);
  switch (ours.kind) {
    case "reject":
      return [400, undefined, undefined];
    case "redirect":
      return [307, undefined, ours.path];
    case "changed":
      return [200, ours.path, undefined];
    case "unchanged":
      return [200, path, undefined];
  }
}
