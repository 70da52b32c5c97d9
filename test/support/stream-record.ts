/** A finished stream as the waypoint's telemetry sees it, with overrides. */
import { Fields, type RequestHead } from "../../src/waypoint/http/message.ts";
import type { DownstreamInfo } from "../../src/waypoint/http/stream.ts";
import type {
  HttpRecord,
  PeerWorkload,
  StreamRecord,
  UpstreamRecord,
} from "../../src/waypoint/telemetry/record.ts";

export function peer(over: Partial<PeerWorkload> = {}): PeerWorkload {
  return {
    workload: "web",
    namespace: "shop",
    cluster: "Kubernetes",
    canonicalService: "web",
    canonicalRevision: "v1",
    type: "deployment",
    name: "web-1",
    trustDomain: "",
    serviceAccount: "web",
    region: "r1",
    zone: "z1",
    ...over,
  };
}

export function downstream(over: Partial<DownstreamInfo> = {}): DownstreamInfo {
  return {
    peerPrincipal: "spiffe://cluster.local/ns/shop/sa/web",
    localPrincipal: "spiffe://cluster.local/ns/shop/sa/waypoint",
    source: { ip: "10.10.1.10", port: 43210 },
    destination: { ip: "10.96.1.1", port: 80 },
    connectAuthority: "10.96.1.1:80",
    connectHeaders: [],
    requestedServerName: undefined,
    connectionId: 7,
    startedWallMs: 1_795_262_400_000,
    ...over,
  };
}

export function upstream(over: Partial<UpstreamRecord> = {}): UpstreamRecord {
  return {
    cluster: "inbound-vip|80|http|reviews.shop.svc.cluster.local",
    service: { host: "reviews.shop.svc.cluster.local", name: "reviews", namespace: "shop" },
    address: "10.10.1.11:8080",
    hostText: "envoy://connect_originate/10.10.1.11:8080",
    localAddress: "envoy://internal_client_address/",
    peer: peer({
      workload: "reviews-v1",
      canonicalService: "reviews",
      name: "reviews-v1",
      serviceAccount: "reviews",
    }),
    failureReason: undefined,
    attempts: 1,
    serviceTimeMs: 3,
    ...over,
  };
}

export function requestHead(
  over: Partial<Omit<RequestHead, "fields">> = {},
  flat: string[] = [],
): RequestHead {
  return {
    method: "GET",
    scheme: "http",
    authority: "reviews.shop",
    path: "/reviews/1?lang=en",
    fields: new Fields(flat),
    upgrade: undefined,
    ...over,
  };
}

export function httpRecord(over: Partial<HttpRecord> = {}): HttpRecord {
  return {
    protocol: "HTTP/1.1",
    request: requestHead({}, [
      "user-agent",
      "curl/8.5.0",
      "x-request-id",
      "9b2c0f2e-0000-4000-8000-000000000001",
    ]),
    originalPath: "/reviews/1?lang=en",
    status: 200,
    responseFields: new Fields([
      "content-type",
      "text/plain",
      "x-envoy-upstream-service-time",
      "3",
    ]),
    trailers: undefined,
    grpcStatus: undefined,
    requestMessages: 0,
    responseMessages: 0,
    ...over,
  };
}

export function streamRecord(over: Partial<StreamRecord> = {}): StreamRecord {
  return {
    kind: "http",
    chain: "inbound-vip|80|http|reviews.shop.svc.cluster.local",
    downstream: downstream(),
    source: peer(),
    // 2026-11-21T12:00:00.123456Z
    startWallMs: 1_795_262_400_123.456,
    durationMs: 5.7,
    bytesReceived: 0,
    bytesSent: 1024,
    wireBytesReceived: 120,
    wireBytesSent: 1200,
    flags: [],
    details: "via_upstream",
    connectionTerminationDetails: undefined,
    routeName: "default",
    upstream: upstream(),
    metadata: new Map(),
    decisions: [],
    http: httpRecord(),
    ...over,
  };
}
