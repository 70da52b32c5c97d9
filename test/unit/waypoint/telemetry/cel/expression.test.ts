import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fields } from "../../../../../src/waypoint/http/message.ts";
import { compileExpression } from "../../../../../src/waypoint/telemetry/cel/expression.ts";
import { CelSyntaxError } from "../../../../../src/waypoint/telemetry/cel/lexer.ts";
import { printValue } from "../../../../../src/waypoint/telemetry/cel/print.ts";
import {
  downstream,
  httpRecord,
  requestHead,
  streamRecord,
} from "../../../../support/stream-record.ts";

const record = streamRecord({
  metadata: new Map([
    ["envoy.filters.http.jwt_authn", { payload: { sub: "kim", groups: ["a", "b"], age: 3 } }],
  ]),
  flags: ["UF", "URX"],
  http: httpRecord({
    request: requestHead({ method: "POST" }, [
      "x-user",
      "ann",
      "x-user",
      "ben",
      "content-length",
      "12",
    ]),
    status: 503,
    grpcStatus: "14",
    responseFields: new Fields(["server", "istio-envoy"]),
  }),
});

function value(source: string): unknown {
  return compileExpression(source).evaluate(record);
}

describe("expressions", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["1 + 2 * 3", 7n],
    ["(1 + 2) * 3", 9n],
    ["-7 / 2", -3n],
    ["-7 % 2", -1n],
    ["7.0 / 2.0", 3.5],
    ["1 / 0", undefined],
    ["9223372036854775807 + 1 > 0", true],
    ["18446744073709551615u + 1u", undefined],
    ["0x1F", 31n],
    ["5u", 5n],
    ["1 == 1.0", true],
    ["1 < 2.5", true],
    ["'b' > 'a' && !(1 > 2)", true],
    ["'\\u00e9' == 'é'", true],
    ["r'\\d' == '\\\\d'", true],
    ["'''it's'''", "it's"],
    ["b'\\xff' == b'\\377'", true],
    ["size('aé\\U0001F600')", 3n],
    ["true || 1 / 0 == 1", true],
    ["1 / 0 == 1 || true", true],
    ["false && nothing.here", false],
    ["nothing.here && false", false],
    ["nothing.here || false", undefined],
    ["1 > 2 ? 'a' : 'b'", "b"],
    ["2 in [1, 2]", true],
    ["'x' in {'x': 1}", true],
    ["{'x': [1, 2]}['x'][1]", 2n],
    ["[1, 2][5]", undefined],
    ["[1, 2].exists(x, x > 1)", true],
    ["[1, 2].all(x, x > 1)", false],
    ["[1, 2, 3].filter(x, x > 1).map(x, x * x) == [4, 9]", true],
    ["[1, 2, 3].exists_one(x, x == 2)", true],
    ["[1, 2].map(x, x > 1, x + 1) == [3]", true],
    ["[[1], [2]].all(x, x.all(y, y > 0))", true],
    ["'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b')", true],
    ["'abc'.matches('^a.c$')", true],
    ["matches('abc', 'b')", true],
    ["int('42') + int(1.9)", 43n],
    ["string(42) + string(true)", "42true"],
    ["double('1.5') * 2.0", 3],
    ["duration('1m30s') > duration('80s')", true],
    ["timestamp('2026-11-21T12:00:00Z') < request.time", true],
    ["request.time.getHours()", 12n],
    ["null == null", true],
    ["!!true", true],
    ["--1", 1n],
    ["request.method", "POST"],
    ["request.url_path", "/reviews/1"],
    ["request.query", "lang=en"],
    ["request.size", 12n],
    ["request.headers['X-User']", "ann,ben"],
    ["request.headers[':method']", "POST"],
    ["'x-user' in request.headers", true],
    ["has(request.headers.host2)", false],
    ["request.headers['absent']", undefined],
    ["has(request.method)", true],
    ["response.code >= 400", true],
    ["response.flags", 32n | 32768n],
    ["response.grpc_status", 14n],
    ["response.headers.server", "istio-envoy"],
    ["source.address", "10.10.1.10:43210"],
    ["destination.port == 80", true],
    ["connection.mtls", true],
    ["connection.uri_san_peer_certificate.endsWith('/sa/web')", true],
    ["upstream.port", 8080n],
    ["xds.cluster_name", "inbound-vip|80|http|reviews.shop.svc.cluster.local"],
    ["xds.cluster_metadata.filter_metadata['istio'].services[0].name", "reviews"],
    ["xds.listener_direction == 1", true],
    ["metadata.filter_metadata['envoy.filters.http.jwt_authn'].payload.sub", "kim"],
    ["'b' in metadata.filter_metadata['envoy.filters.http.jwt_authn']['payload']['groups']", true],
    ["metadata.filter_metadata['envoy.filters.http.jwt_authn'].payload.age == 3", true],
    ["filter_state.downstream_peer.NAMESPACE", "shop"],
    ["filter_state['downstream_peer'].LABELS['app']", "web"],
    ["filter_state.upstream_peer_obj.service", "reviews"],
    ["string(filter_state['io.istio.peer_principal']).contains('/ns/shop/')", true],
    ["filter_state['io.istio.peer_principal'] == 'x'", false],
    ["source.nothing", undefined],
    ["'a' + 1", undefined],
    ["{'a': 1}.b", undefined],
  ];
  for (const [source, expected] of cases)
    it(source, () => assert.deepEqual(value(source), expected));

  const refused: readonly (readonly [string, RegExp])[] = [
    ["", /expected a name, not the end at character 1/],
    ["1 +", /not the end/],
    ["a b", /unexpected "b" at character 3/],
    ["'abc", /no end/],
    ["f(1)", /no function f\(\) for 1 arguments/],
    ["'a'.nope()", /no function nope/],
    ["'a'.matches('(')", /bad regular expression/],
    ["for == 1", /reserved word/],
    ["99999999999999999999", /too large/],
    ["Struct{a: 1}", /messages cannot be made here/],
    ["has(a)", /has\(\) takes one field/],
    ["[1].all(1, true)", /takes a variable/],
    ["a # b", /unexpected "#"/],
    ["'\\q'", /unknown escape/],
    [`${"(".repeat(200)}1${")".repeat(200)}`, /nested too deeply/],
  ];
  for (const [source, problem] of refused)
    it(`refuses ${source.slice(0, 24)}`, () => {
      assert.throws(
        () => compileExpression(source),
        (thrown) => thrown instanceof CelSyntaxError && problem.test(thrown.message),
      );
    });

  it("names what it does not know", () => {
    const { unknownNames } = compileExpression("source_workload == 'x' && [1].all(y, y > 0)");
    assert.deepEqual(unknownNames, ["source_workload"]);
  });

  it("ends macros that turn too often", () => {
    const list = `[${Array.from({ length: 60 }, (_, index) => index).join(",")}]`;
    assert.equal(value(`${list}.all(a, ${list}.all(b, ${list}.all(c, true)))`), undefined);
  });

  it("takes hostile patterns in linear time", () => {
    const path = "a".repeat(50_000);
    const slow = compileExpression("request.path.matches('(a+)+$b')");
    const http = httpRecord({ request: requestHead({ path }) });
    assert.equal(slow.evaluate(streamRecord({ http })), false);
  });

  it("has no request in a TCP connection", () => {
    const tcp = streamRecord({ kind: "tcp", http: undefined, downstream: downstream() });
    assert.equal(compileExpression("request.method == 'GET'").evaluate(tcp), undefined);
    assert.equal(compileExpression("response.code >= 400").evaluate(tcp), undefined);
    assert.equal(compileExpression("source.port == 43210").evaluate(tcp), true);
  });
});

describe("printing values", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["1", "1"],
    ["true", "true"],
    ["1.5", "1.5"],
    ["100000.0", "100000"],
    ["1000000.0", "1e+06"],
    ["0.0001", "0.0001"],
    ["0.00001", "1e-05"],
    ["1.0/3.0", "0.333333"],
    ["b'abc'", "abc"],
    ["null", "NULL"],
    ["duration('1h2m3.5s')", "1h2m3.5s"],
    ["duration('1500us')", "1.5ms"],
    ["request.time", "2026-11-21T12:00:00.123456+00:00"],
    ["[1]", "list value"],
    ["{1: 2}", "map value"],
  ];
  for (const [source, text] of cases)
    it(`${source} is ${text}`, () => {
      const result = compileExpression(source).evaluate(record);
      assert.ok(result !== undefined);
      assert.equal(printValue(result), text);
    });
});
