/** What clusters and endpoints may not say, and how that is told. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  create,
  createRegistry,
  fromJson,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { ClusterSchema } from "../../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { file_envoy_extensions_transport_sockets_internal_upstream_v3_internal_upstream } from "../../../../src/shared/wire/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js";
import { file_envoy_extensions_transport_sockets_proxy_protocol_v3_upstream_proxy_protocol } from "../../../../src/shared/wire/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer } from "../../../../src/shared/wire/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { file_envoy_extensions_transport_sockets_tls_v3_tls } from "../../../../src/shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { file_envoy_extensions_upstreams_http_v3_http_protocol_options } from "../../../../src/shared/wire/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { compileCluster } from "../../../../src/waypoint/compile/cluster.ts";
import { compileAssignment } from "../../../../src/waypoint/compile/endpoints.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import type { ClusterConfig } from "../../../../src/waypoint/model/cluster.ts";
import type { Assignment } from "../../../../src/waypoint/model/endpoints.ts";
import { assertHas } from "../../../support/subset.ts";

const registry = createRegistry(
  file_envoy_extensions_transport_sockets_tls_v3_tls,
  file_envoy_extensions_transport_sockets_internal_upstream_v3_internal_upstream,
  file_envoy_extensions_transport_sockets_proxy_protocol_v3_upstream_proxy_protocol,
  file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer,
  file_envoy_extensions_upstreams_http_v3_http_protocol_options,
);
const tlsType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const httpType = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

function cluster(more: JsonObject): ClusterConfig {
  const message = fromJson(ClusterSchema, { name: "c", ...more }, { registry });
  return compileCluster(message, new Notes());
}

function endpoints(more: JsonValue): Assignment {
  const message = fromJson(ClusterLoadAssignmentSchema, {
    clusterName: "c",
    endpoints: [{ lbEndpoints: [more] }],
  });
  return compileAssignment(message, new Notes());
}

const tls = (context: JsonObject, more: JsonObject = {}): JsonObject => ({
  transportSocket: {
    name: "tls",
    typedConfig: { "@type": tlsType, commonTlsContext: context, ...more },
  },
});
const http = (options: JsonObject): JsonObject => ({
  typedExtensionProtocolOptions: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": { "@type": httpType, ...options },
  },
});

describe("refused clusters, with the path of what is wrong", () => {
  for (const [what, message, path] of [
    ["a policy nobody has", { lbPolicy: "LOAD_BALANCING_POLICY_CONFIG" }, /^lb_policy: /],
    [
      "active health checks",
      { healthChecks: [{ timeout: "1s" }] },
      /^health_checks: is not supported/,
    ],
    ["subset load balancing", { lbSubsetConfig: { listAsAny: true } }, /^lb_subset_config: /],
    [
      "EDS from elsewhere",
      { type: "EDS", edsClusterConfig: { edsConfig: { path: "/x" } } },
      /^eds_cluster_config.eds_config: only ads/,
    ],
    ["no timeout at all", { connectTimeout: "0s" }, /^connect_timeout: must be longer/],
    [
      "a table that is not prime",
      { lbPolicy: "MAGLEV", maglevLbConfig: { tableSize: "65536" } },
      /^maglev_lb_config.table_size: must be prime/,
    ],
    [
      "a ring of another hash",
      { lbPolicy: "RING_HASH", ringHashLbConfig: { hashFunction: "MURMUR_HASH_2" } },
      /^ring_hash_lb_config.hash_function/,
    ],
    [
      "more than all ejected",
      { outlierDetection: { maxEjectionPercent: 101 } },
      /^outlier_detection.max_ejection_percent: must be between/,
    ],
    [
      "limits per host",
      { circuitBreakers: { perHostThresholds: [{ maxConnections: 1 }] } },
      /^circuit_breakers.per_host_thresholds/,
    ],
    [
      "a priority twice",
      { circuitBreakers: { thresholds: [{}, {}] } },
      /^circuit_breakers.thresholds\[1\]/,
    ],
    [
      "two logical names",
      {
        type: "LOGICAL_DNS",
        loadAssignment: { endpoints: [{ lbEndpoints: [named("a"), named("b")] }] },
      },
      /^load_assignment: must have one/,
    ],
    [
      "HTTP/3",
      http({ explicitHttpConfig: { http3ProtocolOptions: {} } }),
      /http3_protocol_options: is not supported/,
    ],
    ["choice by ALPN", http({ autoConfig: {} }), /auto_config/],
    [
      "names without roots",
      tls({ validationContext: { matchSubjectAltNames: [{ exact: "a" }] } }),
      /cannot be believed without trusted_ca/,
    ],
    [
      "expired certificates",
      tls({ validationContext: { allowExpiredCertificate: true } }),
      /allow_expired_certificate: is not supported/,
    ],
    [
      "a provider plugin",
      tls({ tlsCertificateProviderInstance: { instanceName: "x" } }),
      /tls_certificate_provider_instance/,
    ],
    [
      "TLS 1.0",
      tls({ tlsParams: { tlsMinimumProtocolVersion: "TLSv1_0" } }),
      /tls_minimum_protocol_version: versions before/,
    ],
    ["renegotiation", tls({}, { allowRenegotiation: true }), /allow_renegotiation/],
  ] as const satisfies readonly (readonly [string, JsonObject, RegExp])[])
    test(what, () => {
      assert.throws(() => cluster(message), { name: "CompileError", message: path });
    });

  test("a field the schema does not know", () => {
    const message = create(ClusterSchema, { name: "c" });
    message.$unknown = [{ no: 999, wireType: 0, data: Uint8Array.of(1) }];
    assert.throws(() => compileCluster(message, new Notes()), /#999/);
    message.$unknown = [{ no: 58, wireType: 2, data: Uint8Array.of(0) }];
    const notes = new Notes();
    compileCluster(message, notes);
    assert.deepEqual(notes.decorations, ["#58: has no effect here"]);
  });
});

function named(host: string): JsonObject {
  return { endpoint: { address: { socketAddress: { address: host, portValue: 80 } } } };
}

describe("understood clusters", () => {
  test("defaults are Envoy's", () => {
    assertHas(cluster({ outlierDetection: {} }), {
      connectTimeoutMs: 5000,
      panicThresholdPercent: 50,
      localityWeighted: false,
      breakers: {
        maxConnections: 1024,
        maxPendingRequests: 1024,
        maxRequests: 1024,
        maxRetries: 3,
      },
      outlier: {
        intervalMs: 10_000,
        baseEjectionMs: 30_000,
        maxEjectionMs: 300_000,
        maxEjectionPercent: 10,
        consecutive5xx: { threshold: 5, enforcingPercent: 100 },
        consecutiveGateway: { threshold: 5, enforcingPercent: 0 },
      },
      http: { protocol: "http1", idleTimeoutMs: 3_600_000 },
    });
  });

  test("a retry budget, slow start, keepalive, SNI by request", () => {
    const compiled = cluster({
      lbPolicy: "ROUND_ROBIN",
      roundRobinLbConfig: { slowStartConfig: { slowStartWindow: "30s" } },
      circuitBreakers: { thresholds: [{ retryBudget: { budgetPercent: { value: 25 } } }] },
      upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 3 } },
      ...http({ upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } }),
    });
    assertHas(compiled, {
      balance: {
        kind: "round-robin",
        slowStart: { windowMs: 30_000, aggression: 1, minWeightPercent: 10 },
      },
      breakers: { retryBudget: { percent: 25, minConcurrency: 3 } },
      keepAlive: { probes: 3, idleSeconds: undefined },
      http: { autoSni: true, autoSanValidation: true },
    });
  });

  test("TLS by files and by the mesh's own certificate, chosen by labels", () => {
    const sds = (name: string): JsonObject => ({ name, sdsConfig: { ads: {} } });
    const compiled = cluster({
      ...tls({
        tlsCertificateSdsSecretConfigs: [sds("file-cert:/c.pem~/k.pem")],
        validationContextSdsSecretConfig: sds("kubernetes://x-cacert"),
      }),
      transportSocketMatches: [
        {
          name: "mesh",
          match: { tlsMode: "istio" },
          ...tls({
            tlsCertificateSdsSecretConfigs: [sds("default")],
            validationContextSdsSecretConfig: sds("ROOTCA"),
          }),
        },
      ],
    });
    assertHas(compiled.transport.tls, {
      certificate: { kind: "secret", name: "file-cert:/c.pem~/k.pem" },
      trust: { kind: "secret", name: "kubernetes://x-cacert" },
    });
    assertHas(compiled.transportMatches[0]?.transport.tls, {
      certificate: { kind: "workload" },
      trust: { kind: "workload" },
    });
    assert.equal(compiled.transportMatches[0]?.labels.get("tlsMode"), "istio");
  });

  test("a PROXY header before TLS", () => {
    const wrapped = cluster({
      transportSocket: {
        name: "proxy",
        typedConfig: {
          "@type":
            "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
          config: { version: "V2" },
          ...tls({}),
        },
      },
    });
    assert.equal(wrapped.transport.proxyProtocol, "v2");
    assert.ok(wrapped.transport.tls);
  });
});

describe("endpoints", () => {
  const internal = (listener: string, metadata: JsonObject): JsonObject => ({
    endpoint: {
      address: { envoyInternalAddress: { serverListenerName: listener, endpointId: "x" } },
    },
    metadata: { filterMetadata: metadata },
  });
  const local = { "envoy.filters.listener.original_dst": { local: "10.0.0.1:80" } };

  test("a waypoint in front, another network, an IPv6 address with a second way", () => {
    const first = (more: JsonValue) => endpoints(more).localities[0]?.endpoints[0];
    assertHas(
      first(
        internal("connect_originate", {
          "envoy.filters.listener.original_dst": {
            local: "10.0.0.1:80",
            waypoint: "10.0.0.9:15008",
          },
        }),
      )?.target,
      { kind: "hbone", address: { ip: "10.0.0.1" }, tunnel: { ip: "10.0.0.9", port: 15008 } },
    );
    assertHas(
      first(
        internal("inner_connect_originate", {
          ...local,
          istio: { double_hbone: { hbone_target_address: "a.shop.svc.cluster.local:80" } },
        }),
      )?.target,
      {
        kind: "double-hbone",
        gateway: { ip: "10.0.0.1", port: 15008 },
        authority: "a.shop.svc.cluster.local:80",
      },
    );
    const dual = first({
      endpoint: {
        address: { socketAddress: { address: "2001:db8::1", portValue: 80 } },
        additionalAddresses: [
          { address: { socketAddress: { address: "10.0.0.1", portValue: 80 } } },
        ],
      },
      healthStatus: "DRAINING",
      loadBalancingWeight: 5,
    });
    assertHas(dual, {
      hostText: "[2001:db8::1]:80",
      weight: 5,
      health: "unhealthy",
      target: { kind: "tcp", additional: [{ ip: "10.0.0.1", port: 80 }] },
    });
  });

  for (const [what, message, path] of [
    [
      "a tunnel to nowhere",
      internal("connect_originate", { "envoy.filters.listener.original_dst": { local: "pod:80" } }),
      /original_dst.local/,
    ],
    [
      "another network without a target",
      internal("inner_connect_originate", local),
      /hbone_target_address/,
    ],
    [
      "an unknown listener",
      internal("surprise", local),
      /server_listener_name: surprise is not supported/,
    ],
    ["a pipe", { endpoint: { address: { pipe: { path: "/x" } } } }, /endpoint.address: is neither/],
    ["weight zero", { ...named("10.0.0.1"), loadBalancingWeight: 0 }, /load_balancing_weight/],
    [
      "a name with further addresses",
      {
        endpoint: {
          address: { socketAddress: { address: "a.test", portValue: 80 } },
          additionalAddresses: [{}],
        },
      },
      /additional_addresses/,
    ],
  ] as const satisfies readonly (readonly [string, JsonObject, RegExp])[])
    test(`refused: ${what}`, () => {
      assert.throws(() => endpoints(message), { name: "CompileError", message: path });
    });
});
