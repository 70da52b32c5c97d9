/** The line of a tunnel that could not be made, from the request or connection that wanted it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { AccessLogSchema } from "../../../../src/shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { ListenerSchema } from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import { checkWayOut } from "../../../../src/waypoint/compile/way-out.ts";
import { inertEnvironment } from "../../../../src/waypoint/telemetry/environment.ts";
import { printFormat } from "../../../../src/waypoint/telemetry/log/format.ts";
import { parseFormat } from "../../../../src/waypoint/telemetry/log/parse.ts";
import { failedTunnel } from "../../../../src/waypoint/telemetry/way-out.ts";
import { streamRecord, upstream } from "../../../support/stream-record.ts";

const FORMAT =
  "%REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %DOWNSTREAM_LOCAL_ADDRESS%";

for (const [address, local, host] of [
  ["10.0.0.7:8080", "10.0.0.7:8080", "10.0.0.7:15008"],
  ["[fd00::7]:8080", "[fd00::7]:8080", "[fd00::7]:15008"],
] as const)
  test(`a tunnel to ${address} that could not be made`, () => {
    const record = streamRecord({
      flags: ["UF"],
      upstream: upstream({
        address,
        hostText: `envoy://connect_originate/${address}`,
        failureReason: "refused",
      }),
    });
    const failed = failedTunnel(record);
    assert.ok(failed !== undefined);
    const line = printFormat(parseFormat(FORMAT, inertEnvironment()), failed, "-");
    assert.equal(line, `- 0 UF,URX refused ${host} connect_originate ${local}`);
  });

test("what did not fail, or wanted no tunnel, has no such line", () => {
  const hostText = "envoy://connect_originate/10.0.0.7:80";
  for (const record of [
    streamRecord({ upstream: upstream({ hostText }) }),
    streamRecord({ flags: ["UF"], upstream: upstream({ hostText: "10.0.0.7:80" }) }),
    streamRecord({ flags: ["UF"], upstream: undefined }),
    streamRecord({ flags: ["UC"], upstream: upstream({ hostText }) }),
  ])
    assert.equal(failedTunnel(record), undefined);
});

test("the logs are those of the hop's tcp_proxy", () => {
  const proxy = create(TcpProxySchema, {
    clusterSpecifier: { case: "cluster", value: "connect_originate" },
    tunnelingConfig: { hostname: "%DOWNSTREAM_LOCAL_ADDRESS%" },
    accessLog: [create(AccessLogSchema, { name: "file" })],
  });
  const listener = create(ListenerSchema, {
    name: "connect_originate",
    filterChains: [
      {
        filters: [
          {
            name: "tcp",
            configType: { case: "typedConfig", value: anyPack(TcpProxySchema, proxy) },
          },
        ],
      },
    ],
  });
  const paths: string[] = [];
  const log = { write: () => undefined };
  const logs = checkWayOut(toBinary(ListenerSchema, listener), new Notes(), (configs, path) => {
    paths.push(`${path} ${configs.map(({ name }) => name)}`);
    return [log];
  });
  assert.deepEqual(logs, [log]);
  assert.deepEqual(paths, [
    "connect_originate.filter_chains[0].filters[0].typed_config.access_log file",
  ]);
});
