/** Objects beside those of the case l7-base that ask for whatever can be asked for at a waypoint. */

const networking = "apiVersion: networking.istio.io/v1";
const security = "apiVersion: security.istio.io/v1";
const gateway = "apiVersion: gateway.networking.k8s.io/v1";
const toReviews = "targetRefs: [{ kind: Service, group: '', name: reviews }]";
const toRatings = "targetRefs: [{ kind: Service, group: '', name: ratings }]";
const toWaypoint =
  "targetRefs: [{ kind: Gateway, group: gateway.networking.k8s.io, name: waypoint }]";

export const everything = `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    accessLogFile: /dev/stdout
    accessLogEncoding: JSON
    trustDomainAliases: [old.local]
    pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES }
    extensionProviders:
    - name: authz-grpc
      envoyExtAuthzGrpc:
        service: authz.infra.svc.cluster.local
        port: 9000
        timeout: 1s
        failOpen: true
        statusOnError: "503"
        includeRequestBodyInCheck: { maxRequestBytes: 1024, allowPartialMessage: true }
    - name: authz-http
      envoyExtAuthzHttp:
        service: infra/authz.infra.svc.cluster.local
        port: 8000
        pathPrefix: /check
        includeRequestHeadersInCheck: [authorization, x-*]
        includeAdditionalHeadersInCheck: { x-a: b }
        headersToUpstreamOnAllow: ["*-id"]
        headersToDownstreamOnDeny: [set-cookie]
        headersToDownstreamOnAllow: [set-cookie]
    - name: otel
      opentelemetry: { service: otel.infra.svc.cluster.local, port: 4317 }
    - name: zipkin
      zipkin: { service: otel.infra.svc.cluster.local, port: 9411 }
    - name: text
      envoyFileAccessLog: { path: /dev/stderr, logFormat: { text: "%RESPONSE_CODE% %REQ(X-A?:PATH)%" } }
---
apiVersion: v1
kind: Service
metadata: { name: authz, namespace: infra }
spec:
  clusterIP: 10.96.9.1
  ports: [{ name: grpc, port: 9000 }, { name: http, port: 8000 }]
---
apiVersion: v1
kind: Service
metadata: { name: otel, namespace: infra }
spec:
  clusterIP: 10.96.9.2
  ports: [{ name: grpc, port: 4317 }, { name: http, port: 9411 }]
---
${networking}
kind: VirtualService
metadata: { name: reviews, namespace: shop }
spec:
  hosts: [reviews]
  http:
  - name: match
    match:
    - uri: { regex: "/v[0-9]+/.*" }
      ignoreUriCase: true
      method: { exact: GET }
      scheme: { exact: http }
      authority: { prefix: reviews }
      headers: { x-a: { exact: b }, x-b: { prefix: c }, x-c: { regex: "d.*" }, x-d: {}, "@request.auth.claims[group]": { exact: admin } }
      withoutHeaders: { x-e: { exact: f }, x-g: {} }
      queryParams: { q: { exact: "1" }, r: { regex: "a|b" } }
    route:
    - destination: { host: reviews, subset: v1, port: { number: 80 } }
      weight: 30
      headers: { request: { set: { x-w: "1" }, remove: [x-q] } }
    - { destination: { host: old.legacy.svc.cluster.local }, weight: 70 }
    headers:
      request: { add: { x-added: "%REQ(:path)%" } }
      response: { set: { x-served: "yes" }, remove: [server] }
    timeout: 3s
    retries: { attempts: 3, perTryTimeout: 1s, retryOn: "5xx,503,reset", retryRemoteLocalities: true, backoff: 10ms }
    fault: { delay: { percentage: { value: 0.5 }, fixedDelay: 1s }, abort: { percentage: { value: 1 }, grpcStatus: UNAVAILABLE } }
    mirrors: [{ destination: { host: ratings, port: { number: 9080 } }, percentage: { value: 12.5 } }]
    corsPolicy:
      allowOrigins: [{ regex: "https://.*\\\\.example" }, { exact: "https://a" }]
      allowMethods: [GET, POST]
      allowCredentials: true
      maxAge: 1h
  - match: [{ uri: { prefix: /old } }]
    rewrite: { uri: /new, authority: ratings }
    route: [{ destination: { host: ratings, port: { number: 9080 } } }]
  - match: [{ uri: { prefix: /re } }]
    rewrite: { uriRegexRewrite: { match: "^/re/(.*)", rewrite: "/\\\\1" } }
    route: [{ destination: { host: reviews } }]
  - match: [{ uri: { exact: /gone } }]
    redirect: { uri: /, scheme: https, redirectCode: 308, derivePort: FROM_REQUEST_PORT }
  - match: [{ uri: { exact: /tea } }]
    directResponse: { status: 418, body: { bytes: dGVh } }
  - route: [{ destination: { host: missing } }]
---
${networking}
kind: VirtualService
metadata: { name: db, namespace: shop }
spec:
  hosts: [db]
  tcp:
  - match: [{ port: 5432 }]
    route:
    - { destination: { host: db }, weight: 90 }
    - { destination: { host: old.legacy.svc.cluster.local }, weight: 10 }
---
${networking}
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: { consistentHash: { httpCookie: { name: c, ttl: 60s, path: / }, maglev: { tableSize: 101 } } }
    connectionPool:
      tcp: { maxConnections: 10, connectTimeout: 2s, tcpKeepalive: { probes: 3, time: 10s }, maxConnectionDuration: 1h, idleTimeout: 5m }
      http: { http1MaxPendingRequests: 5, http2MaxRequests: 7, maxRequestsPerConnection: 100, maxRetries: 3, idleTimeout: 1m, h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 50 }
    outlierDetection: { consecutive5xxErrors: 3, consecutiveGatewayErrors: 2, interval: 5s, baseEjectionTime: 30s, maxEjectionPercent: 50, minHealthPercent: 20 }
    retryBudget: { percent: 20, minRetryConcurrency: 3 }
  subsets:
  - name: v1
    labels: { version: v1 }
    trafficPolicy:
      loadBalancer: { simple: LEAST_REQUEST, warmup: { duration: 30s, minimumPercent: 10, aggression: 1 } }
      proxyProtocol: { version: V2 }
---
${networking}
kind: DestinationRule
metadata: { name: ratings, namespace: shop }
spec:
  host: ratings
  trafficPolicy:
    portLevelSettings:
    - port: { number: 9080 }
      tls: { mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem, sni: ratings, subjectAltNames: [a, b] }
    - port: { number: 9090 }
      loadBalancer: { localityLbSetting: { enabled: true, failoverPriority: [topology.kubernetes.io/region] }, simple: RANDOM }
      outlierDetection: {}
---
${networking}
kind: DestinationRule
metadata: { name: old, namespace: shop }
spec:
  host: old.legacy.svc.cluster.local
  trafficPolicy: { tls: { mode: ISTIO_MUTUAL } }
---
${networking}
kind: ServiceEntry
metadata: { name: dns, namespace: shop }
spec:
  hosts: [dns.example]
  addresses: [240.0.0.1]
  resolution: DNS
  location: MESH_EXTERNAL
  ports: [{ number: 80, name: http, protocol: HTTP }, { number: 443, name: tls, protocol: TLS }]
  endpoints: [{ address: a.dns.example }, { address: 192.0.2.9, ports: { http: 8080 } }]
---
${networking}
kind: DestinationRule
metadata: { name: dns, namespace: shop }
spec:
  host: dns.example
  trafficPolicy: { tls: { mode: SIMPLE } }
---
${networking}
kind: ServiceEntry
metadata: { name: wild, namespace: shop }
spec:
  hosts: ["*.wild.example"]
  addresses: [240.0.0.2]
  resolution: DYNAMIC_DNS
  location: MESH_EXTERNAL
  ports: [{ number: 80, name: http, protocol: HTTP }]
---
${security}
kind: RequestAuthentication
metadata: { name: two, namespace: shop }
spec:
  ${toReviews}
  jwtRules:
  - { issuer: b, jwksUri: "https://b/keys", fromCookies: [token], outputClaimToHeaders: [{ header: x-sub, claim: sub }] }
  - { issuer: a, jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}', fromParams: [t], fromHeaders: [{ name: x-t, prefix: "T " }], forwardOriginalToken: true }
---
${security}
kind: AuthorizationPolicy
metadata: { name: allow, namespace: shop }
spec:
  ${toReviews}
  action: ALLOW
  rules:
  - from:
    - source: { principals: ["cluster.local/ns/shop/sa/web", "*"], notNamespaces: [a*], ipBlocks: [10.0.0.0/8], remoteIpBlocks: [192.0.2.1] }
    - source: { requestPrincipals: ["a/*"], serviceAccounts: [web, other/x], trustDomains: ["*.local"] }
    to:
    - operation: { hosts: ["*.example", reviews], methods: [GET, HEAD], paths: [/a, /b/*, "*/c", "/d/{*}/e/{**}"], notPorts: ["81"] }
    when:
    - { key: "request.headers[x-a]", values: ["1", "2*"], notValues: ["*3"] }
    - { key: "request.auth.claims[a][b]", values: [x, "y*"] }
    - { key: request.auth.audiences, values: [shop] }
    - { key: destination.port, values: ["80"] }
    - { key: connection.sni, values: ["*.a"] }
---
${security}
kind: AuthorizationPolicy
metadata: { name: deny, namespace: shop, annotations: { istio.io/dry-run: "true" } }
spec: { ${toReviews}, action: DENY, rules: [{ to: [{ operation: { paths: [/x] } }] }] }
---
${security}
kind: AuthorizationPolicy
metadata: { name: audit, namespace: shop }
spec: { ${toReviews}, action: AUDIT, rules: [{}] }
---
${security}
kind: AuthorizationPolicy
metadata: { name: nobody, namespace: shop }
spec: { ${toWaypoint}, action: DENY }
---
${security}
kind: AuthorizationPolicy
metadata: { name: ask, namespace: shop }
spec: { ${toReviews}, action: CUSTOM, provider: { name: authz-http }, rules: [{ to: [{ operation: { paths: [/admin] } }] }] }
---
${security}
kind: AuthorizationPolicy
metadata: { name: ask-grpc, namespace: shop }
spec: { ${toRatings}, action: CUSTOM, provider: { name: authz-grpc }, rules: [{}] }
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: all, namespace: istio-system }
spec:
  tracing:
  - providers: [{ name: otel }]
    randomSamplingPercentage: 12.5
    customTags: { a: { literal: { value: b } }, c: { header: { name: x-c, defaultValue: d } } }
  accessLogging:
  - providers: [{ name: text }, { name: envoy }]
    filter: { expression: "response.code >= 400" }
  metrics:
  - overrides:
    - { match: { metric: REQUEST_COUNT }, tagOverrides: { x: { value: "request.host" }, response_flags: { operation: REMOVE } } }
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: ratings, namespace: shop }
spec: { ${toRatings}, tracing: [{ providers: [{ name: zipkin }] }] }
---
${gateway}
kind: HTTPRoute
metadata: { name: ratings, namespace: shop }
spec:
  parentRefs: [{ kind: Service, group: "", name: ratings, port: 9090 }]
  rules:
  - matches: [{ path: { value: /a } }]
    filters:
    - { type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }
    - { type: RequestMirror, requestMirror: { backendRef: { name: reviews, port: 80 }, fraction: { numerator: 1, denominator: 3 } } }
    - { type: CORS, cors: { allowOrigins: ["*", "https://*.example"], maxAge: 60 } }
    backendRefs: [{ name: ratings, port: 9090 }, { name: gone, port: 1, weight: 3 }]
    retry: { codes: [503], attempts: 1, backoff: 20ms }
    timeouts: { request: 5s, backendRequest: 1s }
  - matches: [{ path: { type: Exact, value: /b } }]
    filters: [{ type: RequestRedirect, requestRedirect: { hostname: x, statusCode: 302 } }]
  - backendRefs: []
---
${gateway}
kind: GRPCRoute
metadata: { name: ratings, namespace: shop }
spec:
  parentRefs: [{ kind: Service, group: "", name: ratings, port: 9080 }]
  rules:
  - matches: [{ method: { service: s.S, method: M } }, { method: { type: RegularExpression, service: "s\\\\..*" } }]
    backendRefs: [{ name: ratings, port: 9080 }]
`;
