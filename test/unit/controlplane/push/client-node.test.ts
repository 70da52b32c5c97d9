import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { parseClientNode } from "../../../../src/controlplane/push/client-node.ts";
import { NodeSchema } from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";

const parse = (id: string, metadata: Record<string, string> = {}) =>
  parseClientNode(create(NodeSchema, { id, metadata }));

test("a node proxy", () => {
  const id = "ztunnel~10.0.0.1~ztunnel-x.istio-system~istio-system.svc.cluster.local";
  assert.deepEqual(parse(id, { NODE_NAME: "n1", SERVICE_ACCOUNT: "ztunnel" }), {
    id,
    kind: "ztunnel",
    namespace: "istio-system",
    nodeName: "n1",
    serviceAccount: "ztunnel",
  });
  const stated = parse(id, { NAMESPACE: "other" });
  assert.ok(typeof stated !== "string" && stated.namespace === "other");
});

test("no node at all", () => assert.equal(parseClientNode(undefined), "missing node information"));

for (const id of [
  "",
  "ztunnel",
  "ztunnel~x~a.b~c",
  "sidecar~1.1.1.1~a.b~c",
  "ztunnel~1.1.1.1~a.b~c~d",
])
  test(`${JSON.stringify(id)} is refused`, () => assert.equal(typeof parse(id), "string"));
