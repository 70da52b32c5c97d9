import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fields } from "../../../../../src/waypoint/http/message.ts";
import { inertEnvironment } from "../../../../../src/waypoint/telemetry/environment.ts";
import { formatAsJson, printFormat } from "../../../../../src/waypoint/telemetry/log/format.ts";
import { FormatError, parseFormat } from "../../../../../src/waypoint/telemetry/log/parse.ts";
import type { StreamRecord } from "../../../../../src/waypoint/telemetry/record.ts";
import {
  downstream,
  httpRecord,
  requestHead,
  streamRecord,
  upstream,
} from "../../../../support/stream-record.ts";

const environment = {
  ...inertEnvironment({ hostname: "waypoint-0" }),
  variable: (name: string) => (name === "ZONE" ? "europe-west1" : undefined),
};

function printed(format: string, record: StreamRecord): string {
  return printFormat(parseFormat(format, environment), record, "-");
}

/** The reference's default. */
const DEFAULT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

describe("the default line", () => {
  it("of an answered request", () => {
    assert.equal(
      printed(DEFAULT, streamRecord()),
      '[2026-11-21T12:00:00.123Z] "GET /reviews/1?lang=en HTTP/1.1" 200 - via_upstream - "-" 0 1024 5 3 "-" "curl/8.5.0" "9b2c0f2e-0000-4000-8000-000000000001" "reviews.shop" "envoy://connect_originate/10.10.1.11:8080" inbound-vip|80|http|reviews.shop.svc.cluster.local envoy://internal_client_address/ 10.96.1.1:80 10.10.1.10:43210 - default\n',
    );
  });

  it("of a request without a route", () => {
    const record = streamRecord({
      flags: ["NR"],
      details: "route_not_found",
      routeName: undefined,
      upstream: undefined,
      http: httpRecord({ status: 404, responseFields: new Fields() }),
    });
    assert.equal(
      printed(DEFAULT, record),
      '[2026-11-21T12:00:00.123Z] "GET /reviews/1?lang=en HTTP/1.1" 404 NR route_not_found - "-" 0 1024 5 - "-" "curl/8.5.0" "9b2c0f2e-0000-4000-8000-000000000001" "reviews.shop" "-" - - 10.96.1.1:80 10.10.1.10:43210 - -\n',
    );
  });

  it("of a rewritten path, a failed upstream, and IPv6", () => {
    const record = streamRecord({
      flags: ["URX", "UF"],
      details: "upstream reset before response started",
      downstream: downstream({
        source: { ip: "fd00::10", port: 5 },
        destination: { ip: "fd00::1", port: 80 },
      }),
      upstream: upstream({ failureReason: "delayed connect error: 111", localAddress: undefined }),
      http: httpRecord({
        status: 503,
        responseFields: undefined,
        request: requestHead({ path: "/v2" }, ["x-envoy-original-path", "/v1"]),
      }),
    });
    assert.equal(
      printed(DEFAULT, record),
      '[2026-11-21T12:00:00.123Z] "GET /v1 HTTP/1.1" 503 UF,URX upstream_reset_before_response_started - "delayed_connect_error:_111" 0 1024 5 - "-" "-" "-" "reviews.shop" "envoy://connect_originate/10.10.1.11:8080" inbound-vip|80|http|reviews.shop.svc.cluster.local - [fd00::1]:80 [fd00::10]:5 - default\n',
    );
  });

  it("of a TCP connection", () => {
    const record = streamRecord({
      kind: "tcp",
      http: undefined,
      details: undefined,
      routeName: undefined,
      bytesReceived: 10,
    });
    assert.equal(
      printed(DEFAULT, record),
      '[2026-11-21T12:00:00.123Z] "- - -" 0 - - - "-" 10 1024 5 - "-" "-" "-" "-" "envoy://connect_originate/10.10.1.11:8080" inbound-vip|80|http|reviews.shop.svc.cluster.local envoy://internal_client_address/ 10.96.1.1:80 10.10.1.10:43210 - -\n',
    );
  });
});

describe("operators", () => {
  const grpc = streamRecord({
    metadata: new Map([["jwt", { payload: { sub: "kim", n: 1, groups: ["a"] } }]]),
    timing: { requestEndMs: 1.9, upstreamFirstReceivedMs: 4.2, responseLastSentMs: 5.5 },
    downstream: downstream({ requestedServerName: "a.example" }),
    http: httpRecord({
      request: requestHead({ path: "/a.B/C?x=1&y" }, ["content-type", "application/grpc+proto"]),
      trailers: new Fields(["grpc-message", "too caf\u00c3\u00a9"]),
      grpcStatus: "4",
      traceId: "00ff",
    }),
  });
  const cases: readonly (readonly [string, string])[] = [
    ["plain", "plain"],
    ["100%% %PROTOCOL%%%", "100% HTTP/1.1%"],
    ["%REQ(:METHOD):2%", "GE"],
    ["%REQ(ABSENT?:PATH):4%", "/a.B"],
    ["%REQ_WITHOUT_QUERY(:PATH)%", "/a.B/C"],
    ["%PATH(NQ)%|%PATH(WQ:ORIG)%|%PATH%", "/a.B/C|-|/a.B/C?x=1&y"],
    ["%QUERY_PARAM(x)%%QUERY_PARAM(y)%%QUERY_PARAM(z)%", "1-"],
    ["%RESP(:STATUS)% %RESP(Content-Type)%", "200 text/plain"],
    ["%TRAILER(grpc-message)%", "too café"],
    ["%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)%", "DeadlineExceeded DEADLINE_EXCEEDED"],
    ["%GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%", "4 4"],
    ["%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%", "2026/11/21T12:00:00+0000 1795262400"],
    ["%START_TIME(%s.%3f)%", "1795262400.123"],
    ["%START_TIME(%E6S %f %9f)%", "00.123456 123456000 123456000"],
    ["%START_TIME(%a %A %b %B %e %j %y %p %I %u)%", "Sat Saturday Nov November 21 325 26 PM 12 6"],
    ["%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "5 1 4 1"],
    ["%COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)%", "4200"],
    ["%COMMON_DURATION(US_RX_BEG:DS_RX_BEG)%", "-"],
    ["%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%", "10.10.1.10 43210"],
    ["%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "10.96.1.1"],
    ["%UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_PORT%", "10.10.1.11:8080 8080"],
    ["%UPSTREAM_LOCAL_PORT%", "-"],
    ["%DOWNSTREAM_PEER_URI_SAN%", "spiffe://cluster.local/ns/shop/sa/web"],
    ["%DOWNSTREAM_TLS_VERSION%", "-"],
    ["%REQUESTED_SERVER_NAME%", "a.example"],
    ["%CONNECTION_ID% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "7 1"],
    ["%HOSTNAME% %ENVIRONMENT(ZONE):6% %ENVIRONMENT(NONE)%", "waypoint-0 europe -"],
    ["%FILTER_CHAIN_NAME%", "inbound-vip|80|http|reviews.shop.svc.cluster.local"],
    ["%DYNAMIC_METADATA(jwt:payload:sub)%", "kim"],
    ["%DYNAMIC_METADATA(jwt:payload:groups)%", '["a"]'],
    ["%METADATA(DYNAMIC:jwt:payload:n)%", "1"],
    [
      "%METADATA(CLUSTER:istio:services)%",
      '[{"host":"reviews.shop.svc.cluster.local","name":"reviews","namespace":"shop"}]',
    ],
    ["%FILTER_STATE(upstream_peer_obj:FIELD:service)%", "reviews"],
    ["%FILTER_STATE(downstream_peer_obj:FIELD:nothing)%", "-"],
    ["%FILTER_STATE(io.istio.peer_principal:PLAIN):9%", "spiffe://"],
    [
      "%FILTER_STATE(downstream_peer_obj:PLAIN)%",
      "type=deployment,workload=web,name=web-1,cluster=Kubernetes,namespace=shop,service=web,revision=v1,app=web,version=v1,region=r1,availability_zone=z1",
    ],
    ["%CEL(request.method + '/' + string(response.code))%", "GET/200"],
    ["%CEL(request.headers['no'])%", "-"],
    ["%TRACE_ID% %ACCESS_LOG_TYPE% %RESPONSE_FLAGS_LONG%", "00ff DownstreamEnd -"],
  ];
  for (const [format, text] of cases) it(format, () => assert.equal(printed(format, grpc), text));

  const refused: readonly (readonly [string, RegExp])[] = [
    ["%", /no operator at character 1/],
    ["a %REQ(x)", /no operator at character 3/],
    ["%lower%", /no operator/],
    ["%NO_SUCH%", /not an operator known here/],
    ["%REQ%", /needs an argument/],
    ["%REQ()%", /needs an argument/],
    ["%REQ(a?b?c)%", /only one alternative/],
    ["%DURATION(x)%", /takes no argument/],
    ["%DURATION:3%", /takes no length/],
    ["%REQ(a):x%", /no operator/],
    ["%START_TIME(%n)%", /no line feed/],
    ["%START_TIME(%Q)%", /no time specifier "%Q"/],
    ["%GRPC_STATUS(nice)%", /CAMEL_STRING/],
    ["%FILTER_STATE(a:FIELD)%", /FIELD needs a name/],
    ["%FILTER_STATE(a:NICE)%", /PLAIN, TYPED or FIELD/],
    ["%METADATA(PLANET:a)%", /expected one of/],
    ["%CEL(request.)%", /expected a name/],
    ["%COMMON_DURATION(DS_RX_BEG)%", /START:END/],
  ];
  for (const [format, problem] of refused)
    it(`refuses ${format}`, () => {
      assert.throws(
        () => parseFormat(format, environment),
        (thrown) => thrown instanceof FormatError && problem.test(thrown.message),
      );
    });

  it("omits what is not known", () => {
    const format = parseFormat("a=%REQ(no)% b=%ROUTE_NAME%", environment);
    assert.equal(printFormat(format, grpc, ""), "a= b=default");
  });

  it("gives values with their types as JSON", () => {
    const json = (format: string): string | undefined =>
      formatAsJson(parseFormat(format, environment), grpc, "-");
    assert.equal(json("%RESPONSE_CODE%"), "200");
    assert.equal(json("%DURATION%"), "5");
    assert.equal(json("code %RESPONSE_CODE%"), '"code 200"');
    assert.equal(json("%REQ(no)%"), undefined);
    assert.equal(json("%DYNAMIC_METADATA(jwt:payload)%"), '{"sub":"kim","n":1,"groups":["a"]}');
    assert.equal(json("%PROTOCOL%"), '"HTTP/1.1"');
  });
});
