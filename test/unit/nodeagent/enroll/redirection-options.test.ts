import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { redirectionChoice } from "../../../../src/nodeagent/enroll/redirection-options.ts";

const bypass = "ambient.istio.io/bypass-inbound-capture";
const dns = "ambient.istio.io/dns-capture";
const interfaces = "istio.io/reroute-virtual-interfaces";

describe("annotations of a pod", () => {
  const defaults = { captureDns: true, captureInbound: true, virtualInterfaces: [] };
  const cases = [
    [{}, defaults],
    [{ [bypass]: "true" }, { ...defaults, captureInbound: false }],
    [{ [bypass]: "false" }, defaults],
    [{ [dns]: "false" }, { ...defaults, captureDns: false }],
    [{ [dns]: "true" }, defaults],
    [
      { [interfaces]: "tap0, vnet1,,net-1.2" },
      { ...defaults, virtualInterfaces: ["tap0", "vnet1", "net-1.2"] },
    ],
    [{ [interfaces]: "" }, defaults],
  ] as const;
  for (const [annotations, options] of cases)
    it(JSON.stringify(annotations), () => {
      assert.deepEqual(redirectionChoice(annotations, { captureDns: true }), {
        kind: "options",
        options,
      });
    });

  it("override the agent's default for DNS", () => {
    const choice = redirectionChoice({ [dns]: "true" }, { captureDns: false });
    assert.equal(choice.kind === "options" && choice.options.captureDns, true);
  });

  for (const annotations of [
    { [bypass]: "yes" },
    { [dns]: "1" },
    { [interfaces]: 'eth0" accept; iifname "eth1' },
    { [interfaces]: "an-interface-name-too-long" },
    { [interfaces]: "eth*" },
    { [interfaces]: "eth0\nflush ruleset" },
  ])
    it(`refuse ${JSON.stringify(annotations)}`, () => {
      assert.equal(redirectionChoice(annotations, { captureDns: true }).kind, "invalid");
    });

  it("tell all their problems at once", () => {
    const choice = redirectionChoice({ [bypass]: "x", [dns]: "y" }, { captureDns: true });
    assert.match(choice.kind === "invalid" ? choice.reason : "", /dns-capture.*; .*bypass/);
  });
});
