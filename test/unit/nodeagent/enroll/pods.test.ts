import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { podsOfNode } from "../../../../src/nodeagent/enroll/pods.ts";
import { snapshotOf } from "../../../support/objects.ts";

const objects = (pod: string, namespace = "labels: {istio.io/dataplane-mode: ambient}"): string => `
apiVersion: v1
kind: Namespace
metadata: {name: shop, ${namespace}}
---
apiVersion: v1
kind: Pod
${pod}
`;
const web = (metadata = "", spec = "nodeName: n1, serviceAccountName: sa"): string =>
  `metadata: {name: web, namespace: shop, uid: u1, annotations: {ambit.dev/netns: /run/netns/web}${metadata}}
spec: {${spec}, containers: [{name: c}]}
status: {podIP: 10.1.0.11, podIPs: [{ip: 10.1.0.11}, {ip: "fd00:1::11"}]}`;
const verdictOn = (text: string) =>
  podsOfNode(snapshotOf(text), "n1", { captureDns: true }).get("u1");

describe("pods of the node", () => {
  it("in an ambient namespace are enrolled", () => {
    assert.deepEqual(verdictOn(objects(web())), {
      kind: "enrolled",
      pod: {
        uid: "u1",
        info: { name: "web", namespace: "shop", serviceAccount: "sa" },
        netnsPath: "/run/netns/web",
        ips: ["10.1.0.11", "fd00:1::11"],
        redirection: { captureDns: true, captureInbound: true, virtualInterfaces: [] },
      },
    });
  });

  it("of another node are none of ours", () => {
    assert.equal(verdictOn(objects(web("", "nodeName: n2"))), undefined);
  });

  for (const [name, text, reason] of [
    ["opt-out", objects(web(", labels: {istio.io/dataplane-mode: none}")), /carries the label/],
    ["host network", objects(web("", "nodeName: n1, hostNetwork: true")), /network of its node/],
    ["no label", objects(web(), "labels: {a: b}"), /neither/],
  ] as const)
    it(`stay out: ${name}`, () => {
      const verdict = verdictOn(text);
      assert.equal(verdict?.kind, "out");
      assert.match(verdict.kind === "out" ? verdict.reason : "", reason);
      assert.equal(verdict.kind === "out" && verdict.netnsPath, "/run/netns/web");
    });

  for (const [name, text, reason] of [
    [
      "no namespace named",
      objects(
        "metadata: {name: web, namespace: shop, uid: u1}\nspec: {nodeName: n1, containers: [{name: c}]}",
      ),
      /ambit.dev\/netns is missing/,
    ],
    [
      "a bad annotation",
      objects(
        web().replace("/run/netns/web", '/run/netns/web, ambient.istio.io/dns-capture: "maybe"'),
      ),
      /must be "true" or "false"/,
    ],
  ] as const)
    it(`cannot be enrolled: ${name}`, () => {
      const verdict = verdictOn(text);
      assert.equal(verdict?.kind, "impossible");
      assert.match(verdict.kind === "impossible" ? verdict.reason : "", reason);
    });

  it("whose namespace object is missing count as unlabelled", () => {
    assert.equal(verdictOn(`apiVersion: v1\nkind: Pod\n${web()}`)?.kind, "out");
  });
});
