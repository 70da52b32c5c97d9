import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { AccessLogSchema } from "../../../../src/shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../../../../src/shared/wire/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { ExpressionFilterSchema } from "../../../../src/shared/wire/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { StderrAccessLogSchema } from "../../../../src/shared/wire/gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { compileAccessLog } from "../../../../src/waypoint/compile/access-log.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import { inertEnvironment } from "../../../../src/waypoint/telemetry/environment.ts";
import type { StreamRecord } from "../../../../src/waypoint/telemetry/record.ts";
import { httpManagers, recordedListeners } from "../../../support/recorded-listeners.ts";
import { httpRecord, requestHead, streamRecord } from "../../../support/stream-record.ts";

const TYPE = "type.googleapis.com/";

function filtered(filter: JsonObject): JsonObject {
  return { name: "envoy.access_loggers.file", filter };
}

interface Compiled {
  readonly lines: string[];
  readonly paths: string[];
  readonly notes: Notes;
  write(record: StreamRecord): void;
}

function compile(log: JsonObject, file: JsonObject = { path: "/dev/stdout" }): Compiled {
  const lines: string[] = [];
  const paths: string[] = [];
  const notes = new Notes();
  const message = fromJson(AccessLogSchema, log);
  if (message.configType.case === undefined)
    message.configType = {
      case: "typedConfig",
      value: anyPack(FileAccessLogSchema, fromJson(FileAccessLogSchema, file)),
    };
  const logs = compileAccessLog([message], "access_log", notes, {
    ...inertEnvironment(),
    sink: (path) => {
      paths.push(path);
      return { write: (line) => lines.push(line) };
    },
  });
  return {
    lines,
    paths,
    notes,
    write: (record) => {
      for (const one of logs) one.write(record);
    },
  };
}

function takes(filter: JsonObject, record: StreamRecord): boolean {
  const { lines, write } = compile(filtered(filter));
  write(record);
  return lines.length === 1;
}

function takesExpression(expression: string, record: StreamRecord): boolean {
  const message = create(AccessLogSchema, {
    name: "file",
    configType: {
      case: "typedConfig",
      value: anyPack(FileAccessLogSchema, create(FileAccessLogSchema, { path: "/dev/null" })),
    },
    filter: {
      filterSpecifier: {
        case: "extensionFilter",
        value: {
          name: "cel",
          configType: {
            case: "typedConfig",
            value: anyPack(ExpressionFilterSchema, create(ExpressionFilterSchema, { expression })),
          },
        },
      },
    },
  });
  let written = 0;
  const logs = compileAccessLog([message], "access_log", new Notes(), {
    ...inertEnvironment(),
    sink: () => ({ write: () => written++ }),
  });
  for (const log of logs) log.write(record);
  return written === 1;
}

const failed = streamRecord({ flags: ["UF"], http: httpRecord({ status: 503 }) });
const fine = streamRecord();

describe("filters of access logs", () => {
  const statusFilter = (op: string, value: number): JsonObject => ({
    statusCodeFilter: { comparison: { op, value: { defaultValue: value, runtimeKey: "k" } } },
  });
  const cases: readonly (readonly [string, JsonObject, StreamRecord, boolean])[] = [
    ["status at least", statusFilter("GE", 400), failed, true],
    ["status at least, below", statusFilter("GE", 400), fine, false],
    ["status at most", statusFilter("LE", 200), fine, true],
    ["status equal", statusFilter("EQ", 503), failed, true],
    ["flag", { responseFlagFilter: { flags: ["UF", "NR"] } }, failed, true],
    ["other flag", { responseFlagFilter: { flags: ["NR"] } }, failed, false],
    ["any flag", { responseFlagFilter: {} }, failed, true],
    ["any flag, none", { responseFlagFilter: {} }, fine, false],
    [
      "and",
      {
        andFilter: {
          filters: [statusFilter("GE", 400), { responseFlagFilter: { flags: ["NR"] } }],
        },
      },
      failed,
      false,
    ],
    [
      "or",
      {
        orFilter: { filters: [statusFilter("GE", 400), { responseFlagFilter: { flags: ["NR"] } }] },
      },
      failed,
      true,
    ],
    [
      "duration",
      { durationFilter: { comparison: { op: "GE", value: { defaultValue: 5, runtimeKey: "k" } } } },
      fine,
      true,
    ],
    [
      "header",
      { headerFilter: { header: { name: "user-agent", stringMatch: { prefix: "curl" } } } },
      fine,
      true,
    ],
    ["no health check", { notHealthCheckFilter: {} }, fine, true],
    ["traced", { traceableFilter: {} }, fine, false],
    [
      "traced by its id",
      { traceableFilter: {} },
      streamRecord({
        http: httpRecord({
          request: requestHead({}, ["x-request-id", "9b2c0f2e-0000-9000-8000-000000000001"]),
        }),
      }),
      true,
    ],
    ["gRPC status", { grpcStatusFilter: { statuses: ["UNAVAILABLE"] } }, failed, true],
    [
      "not this gRPC status",
      { grpcStatusFilter: { statuses: ["OK"], exclude: true } },
      failed,
      true,
    ],
    [
      "metadata",
      {
        metadataFilter: {
          matcher: { filter: "f", path: [{ key: "k" }], value: { stringMatch: { exact: "v" } } },
          matchIfKeyNotFound: false,
        },
      },
      streamRecord({ metadata: new Map([["f", { k: "v" }]]) }),
      true,
    ],
    [
      "metadata that is not there",
      {
        metadataFilter: {
          matcher: { filter: "f", path: [{ key: "k" }], value: { boolMatch: true } },
        },
      },
      fine,
      true,
    ],
    ["kind of log", { logTypeFilter: { types: ["TcpConnectionEnd"] } }, fine, false],
    [
      "all by chance",
      { runtimeFilter: { runtimeKey: "k", percentSampled: { numerator: 100 } } },
      fine,
      true,
    ],
    ["none by chance", { runtimeFilter: { runtimeKey: "k", percentSampled: {} } }, fine, false],
  ];
  for (const [name, filter, record, expected] of cases)
    it(name, () => assert.equal(takes(filter, record), expected));

  it("evaluates expressions; what fails is not logged", () => {
    assert.equal(takesExpression("response.code >= 400", failed), true);
    assert.equal(takesExpression("response.code >= 400", fine), false);
    assert.equal(takesExpression("request.headers['none'] == 'x'", fine), false);
    assert.equal(takesExpression("1", fine), false);
  });

  it("refuses what it cannot carry out, with the path", () => {
    assert.throws(
      () => takesExpression("response.code >=", fine),
      /access_log\[0\]\.filter\.extension_filter\.typed_config\.expression: .* at character/,
    );
    assert.throws(
      () => takes({ responseFlagFilter: { flags: ["XX"] } }, fine),
      /access_log\[0\]\.filter\.response_flag_filter\.flags\[0\]: there is no response flag "XX"/,
    );
    assert.throws(() => takes({}, fine), /says nothing to filter by/);
  });
});

describe("access logs", () => {
  it("print JSON in the order of keys, with types, and null for what is absent", () => {
    const { lines, write } = compile(
      { name: "file" },
      {
        path: "/tmp/x",
        logFormat: {
          jsonFormat: {
            status: "%RESPONSE_CODE%",
            absent: "%REQ(no)%",
            mixed: 'a %REQ(no)% "b"',
            nested: { list: ["%PROTOCOL%", 1, true, null] },
          },
        },
      },
    );
    write(fine);
    assert.deepEqual(lines, [
      '{"absent":null,"mixed":"a - \\"b\\"","nested":{"list":["HTTP/1.1",1,true,null]},"status":200}\n',
    ]);
  });

  it("omit empty values", () => {
    const { lines, write } = compile(
      { name: "file" },
      {
        path: "/tmp/x",
        logFormat: { omitEmptyValues: true, jsonFormat: { a: "%REQ(no)%", b: "x%REQ(no)%" } },
      },
    );
    write(fine);
    assert.deepEqual(lines, ['{"b":"x"}\n']);
  });

  it("have Envoy's own format by default, and go where they say", () => {
    const { lines, paths, write } = compile({ name: "file" }, { path: "/var/log/a.log" });
    write(fine);
    assert.deepEqual(paths, ["/var/log/a.log"]);
    assert.match(lines.join(""), /^\[2026-11-21T12:00:00\.123Z\] "GET \/reviews.* "envoy:\/\/conn/);
    const stderr = create(AccessLogSchema, {
      configType: {
        case: "typedConfig",
        value: anyPack(StderrAccessLogSchema, create(StderrAccessLogSchema)),
      },
    });
    const targets: string[] = [];
    compileAccessLog([stderr], "access_log", new Notes(), {
      ...inertEnvironment(),
      sink: (path) => {
        targets.push(path);
        return { write: () => undefined };
      },
    });
    assert.deepEqual(targets, ["/dev/stderr"]);
  });

  it("list services that are not spoken to, and refuse what is unknown", () => {
    const grpc = create(AccessLogSchema, {
      configType: {
        case: "typedConfig",
        value: {
          typeUrl: `${TYPE}envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig`,
          value: new Uint8Array(),
        },
      },
    });
    const notes = new Notes();
    assert.deepEqual(compileAccessLog([grpc], "access_log", notes, inertEnvironment()), []);
    assert.match(notes.decorations.join(), /access_log\[0\]\.typed_config: .*gRPC access log/);
    grpc.configType = {
      case: "typedConfig",
      value: create(AnySchema, {
        typeUrl: `${TYPE}envoy.extensions.access_loggers.wasm.v3.WasmAccessLog`,
      }),
    };
    assert.throws(
      () => compileAccessLog([grpc], "access_log", notes, inertEnvironment()),
      /access_log\[0\]\.typed_config: .*WasmAccessLog is not supported/,
    );
    assert.throws(
      () => compile({ name: "f" }, { path: "/x", format: "%NOPE%" }),
      /access_log\[0\]\.typed_config\.format: %NOPE%/,
    );
  });

  it("compile as recorded from the reference", () => {
    const lines: string[] = [];
    const environment = {
      ...inertEnvironment(),
      sink: () => ({ write: (line: string) => lines.push(line) }),
    };
    const listeners = recordedListeners("l7-telemetry");
    const own = listeners.map(({ accessLog }) =>
      compileAccessLog(accessLog, "access_log", new Notes(), environment),
    );
    assert.equal(own.flat().length, listeners.length);
    const main = listeners.filter(({ name }) => name === "main_internal");
    const ofManagers = main
      .flatMap(httpManagers)
      .flatMap(({ accessLog }) =>
        compileAccessLog(accessLog, "access_log", new Notes(), environment),
      );
    assert.equal(ofManagers.length, 4);
    for (const log of ofManagers) for (const record of [fine, failed]) log.write(record);
    // Of the two records only the failed one, in each HTTP chain.
    assert.equal(lines.length, 4);
    assert.ok(lines.every((line) => line.includes(" 503 UF ")));
  });
});
