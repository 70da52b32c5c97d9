/** Envoy itself accepts what we tell a waypoint, once the filters are taken out that only the reference's build of it has. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { type DescMessage, fromBinary, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { envoyBinary, withoutEnvoy } from "../../support/envoy.ts";
import { registry } from "../../support/plain-message.ts";
import { objectsOf } from "../../support/translate.ts";
import { type TestView, viewOf } from "../../support/waypoint-view.ts";
import { everything } from "./everything.ts";

const golden = resolve(import.meta.dirname, "../../golden");
const cases = readdirSync(golden).filter((name) => name.startsWith("l7-"));

const REFERENCE_ONLY =
  /^(istio\.(stats|metadata_exchange)|waypoint_(down|up)stream_peer_metadata)$/;

/** Without what only the reference's Envoy knows, also inside of packed messages. */
function stripped(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !isReferenceOnly(item)).map(stripped);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const message = value as Record<string, unknown>;
  if (message["$typeName"] === "google.protobuf.Any") return strippedAny(value as Any);
  for (const [key, field] of Object.entries(message))
    message[key] =
      key === "factoryKey" && field === "istio.hashable_string" ? "envoy.string" : stripped(field);
  return message;
}

function isReferenceOnly(item: unknown): boolean {
  const { name, $typeName, type } = item as Readonly<Record<string, unknown>>;
  // A kind of tag that is newer than our copy of the API: it would be lost on the way through JSON.
  if ($typeName === "envoy.type.tracing.v3.CustomTag")
    return (type as { readonly case?: string }).case === undefined;
  return REFERENCE_ONLY.test(String(name));
}

function strippedAny(any: Any): Any {
  const schema = registry.getMessage(any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1));
  if (schema === undefined) return any;
  const message = stripped(fromBinary(schema, any.value)) as ReturnType<typeof fromBinary>;
  return { ...any, value: toBinary(schema, message) };
}

function asJson(schema: DescMessage, bytes: Uint8Array): JsonValue {
  const message = stripped(fromBinary(schema, bytes)) as ReturnType<typeof fromBinary>;
  return toJson(schema, message, { registry });
}

/** A cluster that the bootstrap of a waypoint has. */
function localCluster(name: string) {
  const address = { socket_address: { address: "127.0.0.1", port_value: 9 } };
  return {
    name,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  };
}

function bootstrap({ view }: TestView): object {
  const any =
    "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener";
  const services = [{ envoy_grpc: { cluster_name: "xds" } }];
  return {
    node: { id: "waypoint", cluster: "shop" },
    bootstrap_extensions: [
      { name: "envoy.bootstrap.internal_listener", typed_config: { "@type": any } },
    ],
    dynamic_resources: {
      ads_config: { api_type: "GRPC", transport_api_version: "V3", grpc_services: services },
    },
    static_resources: {
      clusters: [
        localCluster("xds"),
        localCluster("sds-grpc"),
        ...view.clusters.map(({ bytes }) => asJson(ClusterSchema, bytes)),
      ],
      listeners: view.listeners.map(({ bytes }) => asJson(ListenerSchema, bytes)),
    },
  };
}

/** Empty when Envoy has nothing to say against it. */
function refusal(config: object): string {
  const folder = mkdtempSync(join(tmpdir(), "ambit-envoy-"));
  try {
    const file = join(folder, "envoy.json");
    // The output of a child of node is a socket, which cannot be opened by its name.
    writeFileSync(file, JSON.stringify(config).replace(/\/dev\/std(out|err)/g, "/dev/null"));
    const flags = ["--mode", "validate", "-c", file, "--log-level", "error"];
    const { status, stdout, stderr } = spawnSync(envoyBinary, flags, { encoding: "utf8" });
    return status === 0 ? "" : `${stdout}${stderr}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const name of cases)
  test(`Envoy accepts ${name}`, { skip: withoutEnvoy }, () => {
    const objects = objectsOf(readFileSync(join(golden, name, "input.yaml"), "utf8"));
    assert.equal(refusal(bootstrap(viewOf(objects))), "");
  });

test("Envoy accepts everything that can be asked for", { skip: withoutEnvoy }, () => {
  const base = readFileSync(join(golden, "l7-base", "input.yaml"), "utf8");
  // Older than fields that are newer than our copy of the API, and would be lost on the way through JSON.
  const node = { version: { major: 1, minor: 28, patch: 9 } };
  const view = viewOf(objectsOf(base, everything), { node });
  const names = new Set(view.view.clusters.map(({ name }) => name));
  for (const name of [
    "inbound-vip|80|http/v1|reviews.shop.svc.cluster.local",
    "outbound|8000||old.legacy.svc.cluster.local",
    "outbound|9000||authz.infra.svc.cluster.local",
    "inbound-vip|80|http|*.wild.example",
    "inbound-vip|80|http|dns.example",
  ])
    assert.ok(names.has(name), name);
  assert.equal(refusal(bootstrap(view)), "");
});
