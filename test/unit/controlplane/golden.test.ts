/** For every golden input, the resources for a node proxy equal what the reference control plane sent, field by field. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { type DescMessage, fromBinary, toJson } from "@bufbuild/protobuf";
import { allocateAddresses } from "../../../src/controlplane/translate/auto-addresses.ts";
import { defaultMeshSettings } from "../../../src/controlplane/translate/settings.ts";
import { type MeshState, Translator } from "../../../src/controlplane/translate/translate.ts";
import {
  emptyContent,
  mergeContents,
  updateContent,
} from "../../../src/shared/objects/file/content.ts";
import { DeltaDiscoveryResponseSchema } from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { AuthorizationSchema } from "../../../src/shared/wire/gen/istio/security/authorization_pb.js";
import { AddressSchema } from "../../../src/shared/wire/gen/istio/workload/workload_pb.js";
import { type Resources, sentAddresses, sentPolicies, sorted } from "../../support/golden.ts";

const root = resolve(import.meta.dirname, "../../golden");
const cases = readdirSync(root).filter((name) => existsSync(join(root, name, "input.yaml")));

/** The reference recorded all cases on one cluster; its allocator had already given away the first address here. */
const handedOut: Readonly<Record<string, readonly [string, readonly string[]][]>> = {
  "l7-egress-service-entry": [["shop/api-ext/api.example.com", ["240.240.0.3", "2001:2::3"]]],
};

/**
 * For a Gateway of the class `istio` the reference's deployment controller makes a service, with an address from the API
 * server; nothing in the input says which. These are the services it had made when the cases were recorded.
 */
const deployed: Readonly<Record<string, { readonly clusterIp: string; readonly port: string }>> = {
  "gw-ingress-http": { clusterIp: "10.96.230.224", port: "{ name: http, port: 80 }" },
  "gw-ingress-https-redirect": {
    clusterIp: "10.96.230.224",
    port: "{ name: http, port: 80 }",
  },
};

function deployedService(name: string): string {
  const service = deployed[name];
  if (service === undefined) return "";
  return `
---
apiVersion: v1
kind: Service
metadata: { name: kgw-istio, namespace: shop }
spec:
  clusterIP: ${service.clusterIp}
  selector: { gateway.networking.k8s.io/gateway-name: kgw }
  ports: [{ name: status-port, port: 15021, appProtocol: tcp }, ${service.port}]
`;
}

function readObjects(name: string) {
  const file = join(root, name, "input.yaml");
  const text = readFileSync(file, "utf8") + deployedService(name);
  const content = updateContent(emptyContent(file), text);
  assert.deepEqual(content.problems, []);
  return mergeContents([content]).objects;
}

function translateCase(name: string): MeshState {
  const objects = readObjects(name);
  const entries = [...objects.values()].filter((object) => object.kind === "ServiceEntry");
  const autoAddresses = allocateAddresses(entries, new Map(handedOut[name]));
  return new Translator(defaultMeshSettings).translate({
    objects,
    redirected: new Map(),
    autoAddresses,
  });
}

function recorded(name: string, type: string, schema: DescMessage): Resources {
  const bytes = readFileSync(join(root, name, "ztunnel", `${type}.binpb`));
  const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return sorted(
    response.resources.map((resource) => [
      resource.name,
      toJson(schema, fromBinary(schema, resource.resource?.value ?? new Uint8Array())),
    ]),
  );
}

test("the golden cases are all here", () => {
  assert.equal(cases.filter((name) => name.startsWith("l4-")).length, 19);
  assert.equal(cases.filter((name) => name.startsWith("l7-")).length, 18);
  assert.equal(cases.filter((name) => name.startsWith("gw-")).length, 2);
  assert.equal(cases.length, 39);
});

for (const name of cases) {
  test(`${name}: addresses and policies equal the reference's`, () => {
    const state = translateCase(name);
    assert.deepEqual(sentAddresses(state), recorded(name, "Address", AddressSchema));
    assert.deepEqual(sentPolicies(state), recorded(name, "Authorization", AuthorizationSchema));
  });
}
