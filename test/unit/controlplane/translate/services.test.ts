import assert from "node:assert/strict";
import { test } from "node:test";
import { servicePortProtocol } from "../../../../src/controlplane/translate/service-ports.ts";
import {
  gateway,
  istio,
  namespace,
  pod,
  service,
  serviceOf,
  translate,
  workloadOf,
} from "../../../support/translate.ts";

const protocols: readonly [string, string | undefined, number, string][] = [
  ["http", undefined, 80, "HTTP11"],
  ["http-web", undefined, 80, "HTTP11"],
  ["HTTP", undefined, 80, "HTTP11"],
  ["http2", undefined, 80, "HTTP2"],
  ["grpc", undefined, 80, "GRPC"],
  ["grpc-x", undefined, 80, "GRPC"],
  ["grpc-web", undefined, 80, "UNKNOWN"],
  ["https", undefined, 80, "TLS"],
  ["tls-x", undefined, 80, "TLS"],
  ["tcp", undefined, 80, "TCP"],
  ["redis", undefined, 80, "UNKNOWN"],
  ["mysql", undefined, 3306, "UNKNOWN"],
  ["other", undefined, 3306, "TCP"],
  ["", undefined, 53, "TCP"],
  ["", undefined, 80, "UNKNOWN"],
  ["tcp", "kubernetes.io/h2c", 80, "HTTP2"],
  ["tcp", "kubernetes.io/ws", 80, "HTTP11"],
  ["tcp", "kubernetes.io/wss", 80, "TLS"],
  ["http", "tcp", 80, "TCP"],
  ["http", "hbone", 80, "UNKNOWN"],
];

for (const [name, appProtocol, port, expected] of protocols)
  test(`port ${JSON.stringify(name)} ${appProtocol ?? ""} ${port} is ${expected}`, () => {
    const described = {
      name,
      port,
      protocol: "TCP",
      ...(appProtocol === undefined ? {} : { appProtocol }),
    };
    assert.equal(servicePortProtocol(described), expected);
    assert.equal(servicePortProtocol({ ...described, protocol: "UDP" }), "UNKNOWN");
  });

test("addresses and families", () => {
  const of = (spec: Record<string, unknown>) => {
    const { vips, ipFamilies } = serviceOf(translate(service("a", { spec })), "a");
    return [vips.map(({ ip }) => ip), ipFamilies];
  };
  assert.deepEqual(of({}), [["10.96.1.1"], "IPv4Only"]);
  assert.deepEqual(of({ clusterIP: "fd00::1" }), [["fd00::1"], "IPv6Only"]);
  assert.deepEqual(of({ clusterIPs: ["10.96.1.1", "fd00::1"] }), [
    ["10.96.1.1", "fd00::1"],
    "Dual",
  ]);
  assert.deepEqual(of({ ipFamilies: ["IPv6", "IPv4"] }), [["10.96.1.1"], "Dual"]);
  assert.deepEqual(of({ clusterIP: "None" }), [[], "IPv4Only"]);
  assert.deepEqual(of({ clusterIP: "None", selector: {} }), [[], "Dual"]);
});

test("an ExternalName is not sent, and a service whose address cannot be read is not either", () => {
  const state = translate([
    service("x", { spec: { type: "ExternalName", externalName: "a.b" } }),
    service("y", { spec: { clusterIP: "10.x" } }),
  ]);
  assert.equal(state.services.size, 0);
});

test("traffic distribution: field, then annotation, then namespace", () => {
  const annotation = (value: string) => ({ "networking.istio.io/traffic-distribution": value });
  const of = (spec: Record<string, unknown>, annotations = {}, ofNamespace = {}) => {
    const lb = serviceOf(
      translate([namespace("shop", {}, ofNamespace), service("a", { spec, annotations })]),
      "a",
    ).loadBalancing;
    return lb === undefined
      ? "none"
      : `${lb.mode} ${lb.routingPreferences.join(",")} ${lb.healthPolicy}`;
  };
  const zone = "Failover Network,Region,Zone OnlyHealthy";
  const node = "Failover Network,Region,Zone,Subzone,Node OnlyHealthy";
  assert.equal(of({}), "none");
  assert.equal(of({ trafficDistribution: "PreferClose" }), zone);
  assert.equal(of({ trafficDistribution: "PreferSameZone" }), zone);
  assert.equal(of({ trafficDistribution: "PreferSameNode" }), node);
  assert.equal(of({}, annotation("preferclose")), zone);
  assert.equal(of({}, annotation("PreferSameNode"), annotation("PreferClose")), node);
  assert.equal(of({}, annotation("nonsense"), annotation("PreferClose")), "none");
  assert.equal(of({}, {}, annotation("PreferClose")), zone);
  assert.equal(of({ trafficDistribution: "PreferSameNode" }, annotation("PreferClose")), node);
  assert.equal(
    of({ internalTrafficPolicy: "Local", trafficDistribution: "PreferClose" }),
    "Strict Node OnlyHealthy",
  );
  assert.equal(of({ publishNotReadyAddresses: true }), "Standard  AllowAll");
  assert.equal(
    of({ publishNotReadyAddresses: true, trafficDistribution: "PreferClose" }),
    zone.replace("OnlyHealthy", "AllowAll"),
  );
});

test("target ports: number, name, none", () => {
  const ports = [
    { port: 1 },
    { name: "b", port: 2, targetPort: 22 },
    { name: "c", port: 3, targetPort: "named" },
  ];
  assert.deepEqual(
    serviceOf(translate(service("a", { spec: { ports } })), "a").ports.map(
      ({ servicePort, targetPort }) => [servicePort, targetPort],
    ),
    [
      [1, 1],
      [2, 22],
      [3, 0],
    ],
  );
});

const entry = (name: string, spec: Record<string, unknown>, metadata = {}) =>
  istio(
    "ServiceEntry",
    name,
    {
      hosts: [`${name}.example.com`],
      ports: [{ number: 443, name: "tls", protocol: "TLS" }],
      ...spec,
    },
    metadata,
  );

test("a ServiceEntry: addresses, prefixes, resolution, subject names", () => {
  const state = translate([
    entry("stated", {
      addresses: ["10.1.2.3", "10.2.0.9/16"],
      resolution: "STATIC",
      subjectAltNames: ["spiffe://x/ns/a/sa/b"],
    }),
    entry("through", { resolution: "NONE", addresses: ["10.3.0.0/16"] }),
    entry("broken", { addresses: ["10.1.2"], resolution: "STATIC" }),
  ]);
  const stated = serviceOf(state, "stated");
  assert.deepEqual(
    stated.vips.map(({ ip }) => ip),
    ["10.1.2.3"],
  );
  assert.deepEqual(
    stated.cidrVips.map(({ cidr }) => `${cidr.ip}/${cidr.prefixLength}`),
    ["10.2.0.0/16"],
  );
  assert.deepEqual(stated.subjectAltNames, ["spiffe://x/ns/a/sa/b"]);
  assert.deepEqual(serviceOf(state, "through").loadBalancing, {
    mode: "Passthrough",
    routingPreferences: [],
    healthPolicy: "AllowAll",
  });
  assert.equal(state.services.size, 2);
});

test("hosts without an address get one, in both families, unless they opt out or cannot use it", () => {
  const state = translate([
    entry("dns", { resolution: "DNS" }),
    entry(
      "off",
      { resolution: "DNS" },
      { labels: { "networking.istio.io/enable-autoallocate-ip": "false" } },
    ),
    entry("wild", { hosts: ["*.example.org"], resolution: "STATIC" }),
    entry("dynamic", { hosts: ["*.example.net"], resolution: "DYNAMIC_DNS" }),
    entry("none", { resolution: "NONE" }),
  ]);
  const vips = (name: string) => serviceOf(state, name).vips.map(({ ip }) => ip);
  assert.deepEqual(vips("dns"), ["240.240.0.2", "2001:2::2"]);
  assert.deepEqual(vips("dynamic"), ["240.240.0.3", "2001:2::3"]);
  for (const name of ["off", "wild", "none"]) assert.deepEqual(vips(name), []);
});

test("an address written into the status is used as it is", () => {
  const written = JSON.parse(entry("dns", { resolution: "DNS" }));
  written.status = { addresses: [{ value: "240.240.9.9", host: "dns.example.com" }] };
  assert.deepEqual(
    serviceOf(translate(JSON.stringify(written)), "dns").vips.map(({ ip }) => ip),
    ["240.240.9.9"],
  );
});

test("endpoints of a ServiceEntry: inline, implied by a name, selected", () => {
  const state = translate([
    entry("inline", {
      resolution: "STATIC",
      addresses: ["10.9.9.9"],
      endpoints: [
        {
          address: "10.1.1.1",
          ports: { tls: 8443 },
          locality: "r/z",
          weight: 3,
          serviceAccount: "sa",
          network: "net",
        },
        { address: "backend.internal" },
      ],
    }),
    entry("implied", { resolution: "DNS", hosts: ["a.org", "b.org"] }),
    entry("selecting", {
      resolution: "STATIC",
      hosts: ["c.org"],
      workloadSelector: { labels: { app: "vm" } },
    }),
    istio("WorkloadEntry", "vm1", {
      address: "10.2.2.2",
      labels: { app: "vm" },
      ports: { tls: 9 },
    }),
    istio("WorkloadEntry", "vm2", { address: "10.2.2.3" }, { labels: { app: "other" } }),
    pod("vm", {
      spec: { containers: [{ name: "c", ports: [{ name: "tls", containerPort: 10443 }] }] },
    }),
  ]);
  const prefix = "Kubernetes/networking.istio.io";
  const inline = workloadOf(state, `${prefix}/ServiceEntry/shop/inline/10.1.1.1`);
  assert.deepEqual(
    [inline.capacity, inline.capacityStated, inline.network, inline.serviceAccount],
    [3, true, "net", "sa"],
  );
  assert.deepEqual(inline.locality, { region: "r", zone: "z", subzone: "" });
  assert.deepEqual([...inline.services], [["shop/inline.example.com", [[443, 8443]]]]);
  const named = workloadOf(state, `${prefix}/ServiceEntry/shop/inline/backend.internal`);
  assert.deepEqual(
    [named.hostname, named.addresses, named.network],
    ["backend.internal", [], ""],
    "a network is not inherited from the endpoint before",
  );
  assert.deepEqual(
    [...workloadOf(state, `${prefix}/ServiceEntry/shop/implied/b.org`).services.keys()],
    ["shop/b.org"],
  );
  assert.deepEqual(
    [...workloadOf(state, `${prefix}/WorkloadEntry/shop/vm1`).services],
    [["shop/c.org", [[443, 9]]]],
  );
  assert.equal(workloadOf(state, "vm2").services.size, 0);
  assert.deepEqual([...workloadOf(state, "vm").services], [["shop/c.org", [[443, 10443]]]]);
});

test("Kubernetes services select WorkloadEntries too", () => {
  const state = translate([
    service("vm", {
      spec: {
        ports: [
          { name: "n", port: 80, targetPort: "web" },
          { name: "m", port: 81 },
        ],
      },
    }),
    istio("WorkloadEntry", "with", {
      address: "1.1.1.1",
      labels: { app: "vm" },
      ports: { web: 8080, m: 8081 },
    }),
    istio("WorkloadEntry", "without", { address: "1.1.1.2", labels: { app: "vm" } }),
  ]);
  assert.deepEqual(
    [...workloadOf(state, "with").services.values()],
    [
      [
        [80, 8080],
        [81, 8081],
      ],
    ],
  );
  assert.deepEqual([...workloadOf(state, "without").services.values()], [[[81, 81]]]);
});

test("of several claims to a hostname one wins in each namespace, and one of all is canonical", () => {
  const dated = (name: string, namespaceName: string, created: string, hosts = ["x.org"]) =>
    entry(
      name,
      { hosts, resolution: "DNS" },
      { namespace: namespaceName, creationTimestamp: created },
    );
  const state = translate([
    dated("young", "a", "2026-02-01T00:00:00Z"),
    dated("old", "a", "2026-01-02T00:00:00Z"),
    dated("oldest", "b", "2026-01-01T00:00:00Z"),
    dated("shadow", "shop", "2020-01-01T00:00:00Z", ["svc.shop.svc.cluster.local"]),
    service("svc"),
  ]);
  assert.deepEqual(
    [...state.services].map(([key, { name, canonical }]) => [key, name, canonical]).sort(),
    [
      ["a/x.org", "old", false],
      ["b/x.org", "oldest", true],
      ["shop/svc.shop.svc.cluster.local", "svc", true],
    ],
  );
  assert.ok(
    ![...state.workloads.keys()].some((uid) => uid.includes("/young/")),
    "an entry that lost has no endpoints",
  );
});

test("EndpointSlices: addresses without a pod are shared ones; pods are known already", () => {
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "s-1", namespace: "shop", labels: { "kubernetes.io/service-name": "s" } },
    addressType: "IPv4",
    ports: [
      { name: "http", port: 8080 },
      { name: "unknown", port: 1 },
    ],
    endpoints: [
      { addresses: ["10.5.5.5"], conditions: { ready: true } },
      { addresses: ["10.5.5.6"], conditions: { ready: false } },
      { addresses: ["10.5.5.5"] },
      { addresses: ["10.10.1.10"], targetRef: { kind: "Pod", name: "p", namespace: "shop" } },
    ],
  };
  const state = translate([
    service("s", { spec: { selector: {} } }),
    pod("p"),
    JSON.stringify(slice),
  ]);
  const uid = (ip: string) => `Kubernetes/discovery.k8s.io/EndpointSlice/shop/s-1/${ip}`;
  assert.equal(state.workloads.size, 3);
  const shared = workloadOf(state, uid("10.5.5.5"));
  assert.deepEqual(
    [shared.networkMode, shared.status, [...shared.services.values()]],
    ["HostNetwork", "Healthy", [[[80, 8080]]]],
  );
  assert.equal(workloadOf(state, uid("10.5.5.6")).status, "Unhealthy");
  assert.deepEqual([...workloadOf(state, "p").services.keys()], ["shop/s.shop.svc.cluster.local"]);
});

test("networks: the cluster's own by its root namespace, others by their gateways", () => {
  const state = translate([
    namespace("istio-system", { "topology.istio.io/network": "net1" }),
    gateway("east", {
      namespace: "istio-system",
      labels: { "topology.istio.io/network": "net2" },
      spec: { gatewayClassName: "istio-remote", addresses: [{ value: "1.2.3.4" }] },
    }),
    service("s"),
    pod("p"),
    istio("WorkloadEntry", "far", { address: "5.5.5.5", network: "net2" }),
  ]);
  assert.equal(workloadOf(state, "p").network, "net1");
  assert.deepEqual(serviceOf(state, "s").vips, [{ network: "net1", ip: "10.96.1.1" }]);
  const destination = { kind: "address", address: { network: "net2", ip: "1.2.3.4" } };
  assert.deepEqual(workloadOf(state, "far").networkGateway, { destination, hboneMtlsPort: 15008 });
  assert.equal(
    workloadOf(state, "NetworkGateway/net2/1.2.3.4/15008").serviceAccount,
    "east-istio-remote",
  );
});

const meshConfig = (text: string) =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "istio", namespace: "istio-system" },
    data: { mesh: text },
  });

test("the mesh configuration says which ServiceEntries are seen by whom", () => {
  const config = meshConfig(`
serviceEntryVisibility:
  defaultVisibility: NAMESPACE
  policies:
  - visibility: PUBLIC
    matchingRules: [{ namespaceSelector: { matchLabels: { vis: public } } }]
  - visibility: NONE
    matchingRules: [{ namespaceSelector: { matchLabels: { vis: none } } }]
  - visibility: PUBLIC
    matchingRules: [{ somethingNew: 1 }]
trustDomain: ignored.here
`);
  const shared = (ns: string) =>
    entry("e", { hosts: ["x.org"], resolution: "DNS" }, { namespace: ns });
  const state = translate([
    config,
    namespace("open", { vis: "public" }),
    namespace("closed", { vis: "none" }),
    namespace("own"),
    shared("own"),
    shared("closed"),
    shared("open"),
  ]);
  assert.deepEqual(
    [...state.services]
      .map(([key, { visibility, canonical }]) => [key, visibility, canonical])
      .sort(),
    [
      ["open/x.org", "Public", true],
      ["own/x.org", "Namespace", false],
    ],
  );
  assert.ok(![...state.workloads.keys()].some((uid) => uid.includes("/closed/")));
});

test("an entry of its namespace only cannot be carried out of it by a waypoint elsewhere", () => {
  const listeners = [
    {
      name: "mesh",
      port: 15008,
      protocol: "HBONE",
      allowedRoutes: { namespaces: { from: "All" } },
    },
  ];
  const labels = { "istio.io/use-waypoint": "wp", "istio.io/use-waypoint-namespace": "far" };
  const of = (visibility: string) => {
    const state = translate([
      meshConfig(`serviceEntryVisibility: { defaultVisibility: ${visibility} }`),
      gateway("wp", { namespace: "far", spec: { listeners } }),
      service("wp", { namespace: "far" }),
      entry("e", { resolution: "DNS" }, { labels }),
    ]);
    return [serviceOf(state, "e").waypoint !== undefined, state.conditions[0]?.reason];
  };
  assert.deepEqual(of("PUBLIC"), [true, "WaypointAccepted"]);
  assert.deepEqual(of("NAMESPACE"), [false, "CrossNamespaceWaypointForbidden"]);
});
