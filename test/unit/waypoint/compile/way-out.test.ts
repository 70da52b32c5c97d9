import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ListenerSchema } from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { CompileError, Notes } from "../../../../src/waypoint/compile/notes.ts";
import { checkWayOut } from "../../../../src/waypoint/compile/way-out.ts";
import { recordedListeners } from "../../../support/recorded-listeners.ts";
import { l7Cases } from "../../../support/waypoint/listeners.ts";

describe("the recorded ways out are what is built in", () => {
  for (const golden of l7Cases)
    test(golden, () => {
      const ways = recordedListeners(golden).filter(({ name }) =>
        name.endsWith("connect_originate"),
      );
      assert.equal(ways.length, 3);
      for (const way of ways) checkWayOut(toBinary(ListenerSchema, way), new Notes(), () => []);
    });
});

function way(
  proxy: Parameters<typeof create<typeof TcpProxySchema>>[1],
  extra: object[] = [],
): Uint8Array {
  const typedConfig = anyPack(TcpProxySchema, create(TcpProxySchema, proxy));
  const filters = [
    { name: "tcp", configType: { case: "typedConfig" as const, value: typedConfig } },
  ];
  return toBinary(
    ListenerSchema,
    create(ListenerSchema, {
      name: "connect_originate",
      filterChains: [{ filters: [...extra, ...filters] }],
    }),
  );
}

describe("another way out is refused", () => {
  const cluster = { case: "cluster", value: "connect_originate" } as const;
  const tunnelingConfig = { hostname: "%DOWNSTREAM_LOCAL_ADDRESS%" };
  const odd = anyPack(ListenerSchema, create(ListenerSchema, {}));
  const filter = { name: "odd", configType: { case: "typedConfig" as const, value: odd } };
  const inside = "connect_originate.filter_chains[0].filters";
  for (const [name, bytes, path] of [
    [
      "to another cluster",
      way({ clusterSpecifier: { case: "cluster", value: "x" }, tunnelingConfig }),
      `${inside}[0].typed_config.cluster`,
    ],
    [
      "without a tunnel",
      way({ clusterSpecifier: cluster }),
      `${inside}[0].typed_config.tunneling_config`,
    ],
    [
      "with a filter nobody knows",
      way({ clusterSpecifier: cluster, tunnelingConfig }, [filter]),
      `${inside}[0].typed_config`,
    ],
  ] as const)
    test(name, () =>
      assert.throws(
        () => checkWayOut(bytes, new Notes(), () => []),
        (thrown: Error) => thrown instanceof CompileError && thrown.path === path,
      ),
    );
});
