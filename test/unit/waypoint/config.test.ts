import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "../../../src/shared/settings/config-error.ts";
import {
  type ConfigSources,
  loadConfig,
  type WaypointConfig,
} from "../../../src/waypoint/config.ts";

const own = {
  POD_NAME: "waypoint-0",
  POD_NAMESPACE: "shop",
  SERVICE_ACCOUNT: "waypoint",
  INSTANCE_IP: "10.10.2.50",
};

function sources(
  env: Record<string, string> = {},
  args: readonly string[] = [],
  files: Record<string, string> = {},
): ConfigSources {
  return { env, args, readFile: (path) => files[path], fileExists: (path) => path in files };
}

function load(
  env: Record<string, string> = {},
  args: readonly string[] = [],
  files: Record<string, string> = {},
): WaypointConfig {
  return loadConfig(sources({ ...own, ...env }, args, files));
}

function problemsOf(env: Record<string, string>, args: readonly string[] = []): readonly string[] {
  try {
    loadConfig(sources(env, args));
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError);
    return thrown.problems;
  }
  return [];
}

test("the pod alone is enough; the rest has defaults", () => {
  const config = load();
  assert.equal(config.node.id, "waypoint~10.10.2.50~waypoint-0.shop~shop.svc.cluster.local");
  assert.equal(config.node.cluster, "waypoint.shop");
  assert.deepEqual(config.identity, {
    trustDomain: "cluster.local",
    namespace: "shop",
    serviceAccount: "waypoint",
  });
  assert.equal(config.xds.address, "https://localhost:15012");
  assert.equal(config.ca.address, "https://localhost:15012");
  assert.deepEqual(config.ports, { admin: 15000, status: 15020, readiness: 15021, stats: 15090 });
  assert.deepEqual(config.drain, { acceptMs: 5000, deadlineMs: 25_000 });
  assert.equal(config.xdsOnDemand, false);
  assert.ok(Object.isFrozen(config.node.metadata));
});

test("what is missing or wrong is named at once", () => {
  assert.deepEqual(
    problemsOf({ TRUST_DOMAIN: "td", CA_ADDRESS: "http://elsewhere:1", AMBIT_DECISION_RING: "x" }),
    [
      'AMBIT_DECISION_RING: expected a whole number from 0 to 100000, not "x"',
      "INSTANCE_IP: required, the control plane finds this pod by its address",
      "POD_NAME: required, it is part of the node's name",
      "POD_NAMESPACE: required, it is part of our identity",
      "SERVICE_ACCOUNT: required, it is our identity",
      'CA_ADDRESS: https is required, not "http://elsewhere:1"',
    ],
  );
  assert.deepEqual(problemsOf({ ...own, XDS_ADDRESS: "" }), [
    "XDS_ADDRESS: a waypoint cannot do without it",
  ]);
});

/** What istiod's template puts into the pod. */
const template = {
  env: {
    ISTIO_META_SERVICE_ACCOUNT: "waypoint",
    SERVICE_ACCOUNT: "waypoint",
    ISTIO_META_NODE_NAME: "node1",
    HOST_IP: "172.18.0.2",
    POD_NAME: "waypoint-7c9",
    POD_NAMESPACE: "shop",
    INSTANCE_IP: "10.10.2.50",
    PILOT_CERT_PROVIDER: "istiod",
    CA_ADDR: "istiod.istio-system.svc:15012",
    ISTIO_CPU_LIMIT: "2",
    PROXY_CONFIG:
      '{"discoveryAddress":"istiod-canary.istio-system.svc:15012","proxyMetadata":{"ISTIO_META_DNS_CAPTURE":"true"},"terminationDrainDuration":"7s","statusPort":15020}',
    ISTIO_META_DNS_CAPTURE: "true",
    ISTIO_META_CLUSTER_ID: "Kubernetes",
    ISTIO_META_NETWORK: "net1",
    ISTIO_META_INTERCEPTION_MODE: "REDIRECT",
    ISTIO_META_WORKLOAD_NAME: "waypoint",
    ISTIO_META_OWNER: "kubernetes://apis/apps/v1/namespaces/shop/deployments/waypoint",
    ISTIO_META_MESH_ID: "cluster.local",
    TRUST_DOMAIN: "cluster.local",
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
  },
  args: [
    "proxy",
    "waypoint",
    "--domain",
    "shop.svc.cluster.local",
    "--serviceCluster",
    "waypoint.shop",
    "--proxyLogLevel",
    "warning",
    "--proxyComponentLogLevel",
    "misc:error",
    "--log_output_level",
    "default:info,xds:debug",
    "--log_as_json",
  ],
  files: {
    "./var/run/secrets/tokens/istio-token": "token",
    "./etc/istio/pod/labels":
      'gateway.networking.k8s.io/gateway-name="waypoint"\nservice.istio.io/canonical-name="waypoint"\n',
    "./etc/istio/pod/annotations": 'istio.io/rev="default"\nnote="a \\"quoted\\"\\nline"\n',
  },
} as const;

test("the reference's pod contract is understood as it is", () => {
  const config = loadConfig(sources(template.env, template.args, template.files));
  assert.equal(config.xds.address, "https://istiod-canary.istio-system.svc:15012");
  assert.equal(config.ca.address, "https://istiod.istio-system.svc:15012");
  assert.equal(config.xds.authToken, "./var/run/secrets/tokens/istio-token");
  assert.equal(config.network, "net1");
  assert.equal(config.logFormat, "json");
  assert.equal(config.logFilter, "info,xds=debug");
  assert.deepEqual(config.drain, { acceptMs: 7000, deadlineMs: 25_000 });
  const { metadata } = config.node;
  assert.equal(metadata["NAMESPACE"], "shop");
  assert.equal(metadata["SERVICE_ACCOUNT"], "waypoint");
  assert.equal(metadata["NETWORK"], "net1");
  assert.equal(metadata["CLUSTER_ID"], "Kubernetes");
  assert.equal(metadata["DNS_CAPTURE"], "true");
  assert.equal(metadata["NODE_NAME"], "node1");
  assert.deepEqual(metadata["LABELS"], {
    "gateway.networking.k8s.io/gateway-name": "waypoint",
    "service.istio.io/canonical-name": "waypoint",
  });
  assert.deepEqual(metadata["ANNOTATIONS"], {
    "istio.io/rev": "default",
    note: 'a "quoted"\nline',
  });
  assert.equal(
    (metadata["PROXY_CONFIG"] as Record<string, unknown>)["terminationDrainDuration"],
    "7s",
  );
});

test("words on the command line that are not the contract's are refused by name", () => {
  assert.deepEqual(
    problemsOf({ ...own }, ["proxy", "sidecar", "--log_output_level=default:loud"]),
    [
      'unexpected argument "sidecar"; expected proxy waypoint',
      '--log_output_level: unknown level in "default:loud"',
    ],
  );
  assert.equal(load({}, ["--domain=x.svc.y", "waypoint"]).node.id.endsWith("~x.svc.y"), true);
});

test("a drain never takes new connections beyond its deadline", () => {
  assert.deepEqual(load({ AMBIT_TERMINATION_DRAIN: "60s" }).drain, {
    acceptMs: 25_000,
    deadlineMs: 25_000,
  });
  assert.deepEqual(
    load({ TERMINATION_GRACE_PERIOD_SECONDS: "4", AMBIT_TERMINATION_DRAIN: "0s" }).drain,
    { acceptMs: 0, deadlineMs: 3000 },
  );
});

test("the port of a sandwich comes from the pod's annotation, and needs the PROXY protocol", () => {
  const annotated = (binding: string): Record<string, string> => ({
    "./etc/istio/pod/annotations": `ambient.istio.io/waypoint-inbound-binding="${binding}"\n`,
  });
  assert.equal(load().sandwichPort, undefined);
  assert.equal(load({}, [], annotated("PROXY/15088")).sandwichPort, 15_088);
  for (const wrong of ["NONE", "NONE/15088", "PROXY", "PROXY/0", "PROXY/65536", "PROXY/x"])
    assert.throws(() => load({}, [], annotated(wrong)), /waypoint-inbound-binding/, wrong);
});

test("buckets of the istio_* histograms come from the pod's annotation", () => {
  const annotated = (json: string): Record<string, string> => ({
    "./etc/istio/pod/annotations": `sidecar.istio.io/statsHistogramBuckets=${JSON.stringify(json)}\n`,
  });
  assert.equal(load().histogramBuckets, undefined);
  const { histogramBuckets } = load({}, [], annotated('{"other":[3],"istiocustom":[1,5,10.5]}'));
  assert.deepEqual(histogramBuckets, [1, 5, 10.5]);
  assert.equal(load({}, [], annotated('{"cluster":[1]}')).histogramBuckets, undefined);
  for (const wrong of [
    "[1]",
    "x",
    '{"istiocustom":[]}',
    '{"istiocustom":[2,1]}',
    '{"istiocustom":1}',
  ])
    assert.throws(() => load({}, [], annotated(wrong)), /statsHistogramBuckets/, wrong);
});
