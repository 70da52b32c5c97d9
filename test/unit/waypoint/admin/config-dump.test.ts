import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { ListenerSchema } from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { configDump } from "../../../../src/waypoint/admin/config-dump.ts";
import { ResourceBook } from "../../../../src/waypoint/xds/book.ts";
import { resourcePrinter } from "../../../../src/waypoint/xds/print-resource.ts";
import { wireRegistry } from "../../../../src/waypoint/xds/registry.ts";
import { recordedListeners } from "../../../support/recorded-listeners.ts";

const type = (name: string): string => `type.googleapis.com/envoy.${name}`;

function dumpOf(golden: string, resource?: string) {
  const listeners = new ResourceBook(type("config.listener.v3.Listener"));
  for (const listener of recordedListeners(golden))
    listeners.accept(listener.name, {
      version: "7",
      wallMs: 1_790_000_000_000,
      bytes: toBinary(ListenerSchema, listener),
      decorations: [],
    });
  const sources = {
    node: { id: "waypoint~10.10.2.50~w.shop~shop.svc.cluster.local", metadata: {} },
    version: "1",
    books: {
      clusters: new ResourceBook(type("config.cluster.v3.Cluster")),
      endpoints: new ResourceBook(type("config.endpoint.v3.ClusterLoadAssignment")),
      listeners,
    },
    secrets: () => [],
  };
  const print = resourcePrinter(wireRegistry());
  return configDump(sources, { endpoints: false, resource }, print);
}

interface RouteConfig {
  readonly "@type": string;
  readonly name: string;
  readonly virtual_hosts: readonly { readonly routes: readonly { readonly name?: string }[] }[];
}

test("routes that stand inside listeners are listed by themselves, as tools ask for them", () => {
  const { configs } = dumpOf("l7-vs-match") as {
    readonly configs: readonly { readonly "@type": string }[];
  };
  assert.ok(configs.some((each) => each["@type"] === type("admin.v3.RoutesConfigDump")));
  const dump = dumpOf("l7-vs-match", "static_route_configs");
  const listed = dump["configs"] as readonly { readonly route_config: RouteConfig }[];
  const reviews = listed
    .map(({ route_config: config }) => config)
    .find(({ name }) => name === "inbound-vip|80|http|reviews.shop.svc.cluster.local");
  assert.equal(reviews?.["@type"], type("config.route.v3.RouteConfiguration"));
  assert.ok((reviews.virtual_hosts[0]?.routes.length ?? 0) > 1);
  assert.ok(
    listed.some(({ route_config: { name } }) => name === "default"),
    "the CONNECT's own route is one of them",
  );
});
