/** What a connection manager says about HTTP/2, and about who is internal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { cidrText } from "../../../../src/shared/net/cidr.ts";
import { HttpConnectionManagerSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { PreserveCaseFormatterConfigSchema } from "../../../../src/shared/wire/gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import { compileHttpSettings } from "../../../../src/waypoint/compile/http-settings.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import { http2ServerSettings } from "../../../../src/waypoint/http/http2/settings.ts";
import type { HttpSettings } from "../../../../src/waypoint/model/chain.ts";

function compiled(manager: JsonObject): HttpSettings {
  const message = fromJson(HttpConnectionManagerSchema, manager);
  return compileHttpSettings(message, false, "hcm", new Notes());
}

test("options of HTTP/2 reach the server's codec", () => {
  const settings = http2ServerSettings(
    compiled({
      http2_protocol_options: {
        max_concurrent_streams: 7,
        initial_stream_window_size: 65_536,
        initial_connection_window_size: 1_048_576,
        allow_connect: true,
        connection_keepalive: { interval: "10s", timeout: "5s" },
      },
    }),
  );
  assert.equal(settings.maxConcurrentStreams, 7);
  assert.equal(settings.streamWindowBytes, 65_536);
  assert.equal(settings.connectionWindowBytes, 1_048_576);
  assert.equal(settings.allowConnect, true);
  assert.equal(settings.pingIntervalMs, 10_000);
  assert.equal(settings.pingTimeoutMs, 5_000);
});

test("without options: our windows, no PINGs, no extended CONNECT", () => {
  const settings = http2ServerSettings(compiled({}));
  assert.equal(settings.streamWindowBytes, 1024 * 1024);
  assert.equal(settings.connectionWindowBytes, 16 * 1024 * 1024);
  assert.equal(settings.pingIntervalMs, 0);
  assert.equal(settings.allowConnect, false);
});

for (const [name, bytes] of [
  ["initial_stream_window_size", 65_534],
  ["initial_connection_window_size", 2 ** 31],
] as const)
  test(`a window that HTTP/2 cannot have is refused: ${name} ${bytes}`, () => {
    assert.throws(() => compiled({ http2_protocol_options: { [name]: bytes } }), {
      path: `hcm.http2_protocol_options.${name}`,
    });
  });

test("who is internal", () => {
  const ranges = (manager: JsonObject): readonly string[] =>
    compiled(manager).internalRanges.map(cidrText);
  const { length } = ranges({ internal_address_config: { unix_sockets: true } });
  assert.deepEqual(ranges({}), []);
  assert.equal(length, 6);
  const cidr = { address_prefix: "10.0.0.0", prefix_len: 8 };
  assert.deepEqual(ranges({ internal_address_config: { cidr_ranges: [cidr] } }), ["10.0.0.0/8"]);
  assert.throws(
    () => ranges({ internal_address_config: { cidr_ranges: [cidr, { address_prefix: "x" }] } }),
    { path: "hcm.internal_address_config.cidr_ranges[1]" },
  );
});

test("the case of fields' names is not kept, and that is said", () => {
  const typed_config = {
    "@type":
      "type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
  };
  const registry = createRegistry(PreserveCaseFormatterConfigSchema);
  const message = fromJson(
    HttpConnectionManagerSchema,
    {
      http_protocol_options: {
        header_key_format: { stateful_formatter: { name: "preserve_case", typed_config } },
      },
    },
    { registry },
  );
  const notes = new Notes();
  compileHttpSettings(message, false, "hcm", notes);
  assert.deepEqual(notes.decorations, [
    "hcm.http_protocol_options.header_key_format: names of fields are lower-case here",
  ]);
});
