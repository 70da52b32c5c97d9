import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "../../../src/shared/settings/config-error.ts";
import { configView } from "../../../src/ztunnel/admin/config-view.ts";
import {
  type ConfigSources,
  loadConfig,
  terminationDeadlineMs,
} from "../../../src/ztunnel/config.ts";
import { variables } from "../../../src/ztunnel/variables.ts";

function sources(
  env: Record<string, string> = {},
  files: Record<string, string> = {},
): ConfigSources {
  return {
    env,
    readFile: (path) => files[path],
    fileExists: (path) => path in files,
    cpus: 8,
  };
}

function problemsOf(env: Record<string, string>, files: Record<string, string> = {}): string[] {
  try {
    loadConfig(sources(env, files));
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError);
    return [...thrown.problems];
  }
  return [];
}

test("defaults are the reference's", () => {
  const config = loadConfig(sources());
  assert.equal(config.proxyMode, "shared");
  assert.equal(config.xds?.address, "https://localhost:15012");
  assert.equal(config.xds?.rootCa, "./var/run/secrets/istio/root-cert.pem");
  assert.equal(config.clusterId, "Kubernetes");
  assert.equal(config.packetMark, 1337);
  assert.equal(config.selfTerminationDeadlineMs, 5000);
  assert.deepEqual(
    [config.adminPort, config.statsPort, config.readinessPort],
    [15000, 15020, 15021],
  );
  assert.deepEqual(config.hbone, {
    streamWindowBytes: 4_194_304,
    connectionWindowBytes: 16_777_216,
    maxFrameBytes: 1_048_576,
  });
  assert.deepEqual(config.keepalive, { idleMs: 180_000, intervalMs: 180_000, retries: 9 });
  // Of 8 CPUs: a quarter, as the reference.
  assert.equal(config.numWorkerThreads, 2);
  assert.equal(config.dnsProxy, true);
  assert.equal(config.auth.kind, "none");
});

test("every variable has a reason, and no name stands twice", () => {
  const names = Object.values(variables).flatMap((row) => row.names);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length >= 55, `only ${names.length} variables`);
  for (const row of Object.values(variables)) assert.ok(row.reason.length > 3, row.names[0]);
});

const settings: readonly (readonly [string, string, string, unknown])[] = [
  ["PROXY_MODE", "shared", "proxyMode", "shared"],
  ["IPV6_ENABLED", "false", "ipv6Enabled", false],
  ["SECRET_TTL", "12h", "secretTtlMs", 43_200_000],
  ["POOL_UNUSED_RELEASE_TIMEOUT", "1m30s", "poolUnusedReleaseMs", 90_000],
  ["ENABLE_ORIG_SRC", "true", "originalSource", "required"],
  ["ENABLE_ORIG_SRC", "false", "originalSource", "never"],
  ["PACKET_MARK", "7", "packetMark", 7],
  ["CONNECTION_TERMINATION_DEADLINE", "250ms", "selfTerminationDeadlineMs", 250],
  ["TERMINATION_GRACE_PERIOD_SECONDS", "30", "selfTerminationDeadlineMs", 25_000],
  ["KEEPALIVE_ENABLED", "false", "keepalive", undefined],
  ["ZTUNNEL_WORKER_THREADS", "50%", "numWorkerThreads", 4],
  ["ZTUNNEL_WORKER_THREADS", "0", "numWorkerThreads", 8],
  ["ZTUNNEL_RESOURCE_CPU_LIMIT", "1500m", "numWorkerThreads", 2],
  ["ISTIO_META_DNS_CAPTURE", "false", "dnsProxy", false],
  ["ISTIO_META_DNS_CAPTURE", "TRUE", "dnsProxy", true],
  ["ISTIO_META_DNS_PROXY_ADDR", "localhost:15353", "dnsProxyPort", 15353],
  ["ISTIO_META_CLUSTER_ID", "east", "clusterId", "east"],
  ["XDS_ADDRESS", "", "xds", undefined],
  ["NODE_NAME", "", "localNode", undefined],
];

for (const [name, value, key, expected] of settings) {
  test(`${name}=${value}`, () => {
    const config: Record<string, unknown> = { ...loadConfig(sources({ [name]: value })) };
    assert.deepEqual(config[key], expected);
  });
}

const mistakes: readonly (readonly [Record<string, string>, RegExp])[] = [
  [{ IPV6_ENABLED: "yes" }, /^IPV6_ENABLED: expected true or false, not "yes"$/],
  [{ IPV6_ENABLED: "True" }, /^IPV6_ENABLED/],
  [{ SECRET_TTL: "12" }, /^SECRET_TTL: expected a duration like 30s or 5m/],
  [{ PROXY_MODE: "both" }, /^PROXY_MODE: expected shared or dedicated/],
  [{ PROXY_MODE: "dedicated" }, /^PROXY_WORKLOAD_INFO: required/],
  [{ PROXY_WORKLOAD_INFO: "a/b" }, /^PROXY_WORKLOAD_INFO: expected namespace\/name/],
  [{ ENABLE_PROXY: "false", ISTIO_META_DNS_CAPTURE: "false" }, /cannot both be off/],
  [{ LOCAL_XDS: "{}", LOCAL_XDS_PATH: "/x" }, /^LOCAL_XDS: cannot be set together/],
  [{ XDS_ON_DEMAND: "true" }, /DNS proxy does not currently support on-demand mode/],
  [{ XDS_ADDRESS: "http://istiod:15010" }, /^XDS_ADDRESS: https is required/],
  [{ XDS_ADDRESS: "::not a url" }, /^XDS_ADDRESS: expected host:port or a URL/],
  [{ PACKET_MARK: "0" }, /^PACKET_MARK/],
  [{ INSTANCE_IP: "10.0.0.300" }, /^INSTANCE_IP: expected an IP address/],
  [{ ISTIO_METAJSON_X: "{" }, /^ISTIO_METAJSON_X: expected JSON/],
  [{ PROXY_CONFIG: "statsPort: many" }, /^PROXY_CONFIG.statsPort/],
  [{ PROXY_CONFIG: "[" }, /^PROXY_CONFIG: /],
  [{ HTTP2_FRAME_SIZE: "100" }, /^HTTP2_FRAME_SIZE/],
  [{ ZTUNNEL_WORKER_THREADS: "200%" }, /^ZTUNNEL_WORKER_THREADS/],
];

for (const [env, expected] of mistakes) {
  test(`refused: ${JSON.stringify(env)}`, () => {
    const [problem, ...rest] = problemsOf(env);
    assert.match(problem ?? "", expected);
    assert.deepEqual(rest, []);
  });
}

test("all problems are reported at once", () => {
  const problems = problemsOf({ IPV6_ENABLED: "1", SECRET_TTL: "x", PROXY_MODE: "dedicated" });
  assert.equal(problems.length, 3);
});

test("loopback may be spoken to without TLS", () => {
  const config = loadConfig(sources({ XDS_ADDRESS: "http://127.0.0.1:15010" }));
  assert.equal(config.xds?.address, "http://127.0.0.1:15010");
});

test("the mesh file gives defaults, PROXY_CONFIG overrides, metadata maps are merged", () => {
  const mesh = `
defaultConfig:
  discoveryAddress: istiod.example:15012
  statsPort: 1
  proxyMetadata:
    DNS_CAPTURE: "false"
    ISTIO_META_A: mesh
    B: mesh
`;
  const config = loadConfig(
    sources(
      { PROXY_CONFIG: "statsPort: 2\nproxyMetadata: { B: variable }", ISTIO_META_C: "env" },
      { "./etc/istio/config/mesh": mesh },
    ),
  );
  assert.equal(config.xds?.address, "https://istiod.example:15012");
  assert.equal(config.statsPort, 2);
  assert.equal(config.dnsProxy, false);
  assert.deepEqual(Object.fromEntries(config.proxyMetadata), {
    DNS_CAPTURE: "false",
    A: "mesh",
    B: "variable",
    C: "env",
  });
});

test("inside Kubernetes the default control plane is istiod's service", () => {
  const config = loadConfig(sources({ KUBERNETES_SERVICE_HOST: "10.0.0.1" }));
  assert.equal(config.ca?.address, "https://istiod.istio-system.svc:15012");
});

test("a token is a file where there is one, and text otherwise", () => {
  const path = "./var/run/secrets/tokens/istio-token";
  assert.deepEqual(loadConfig(sources({}, { [path]: "x" })).auth, { kind: "file", path });
  assert.deepEqual(loadConfig(sources({ AUTH_TOKEN: "secret" })).auth, {
    kind: "literal",
    token: "secret",
  });
});

test("the drain limit follows the grace period", () => {
  const table: readonly (readonly [number | undefined, number | undefined, number])[] = [
    [undefined, undefined, 5000],
    [undefined, 30, 25_000],
    [undefined, 11, 6000],
    [undefined, 10, 9000],
    [undefined, 1, 1000],
    [700, 30, 700],
  ];
  for (const [explicitMs, grace, expected] of table)
    assert.equal(terminationDeadlineMs(explicitMs, grace), expected);
});

test("the result is frozen", () => {
  const config = loadConfig(sources());
  assert.throws(() => {
    (config as { network: string }).network = "x";
  }, TypeError);
  assert.throws(() => {
    (config.hbone as { maxFrameBytes: number }).maxFrameBytes = 1;
  }, TypeError);
});

test("the dump shows settings by their names and no secrets", () => {
  const config = loadConfig(
    sources({ AUTH_TOKEN: "very-secret", XDS_HEADER_X_KEY: "also-secret", NETWORK: "n1" }),
  );
  const text = JSON.stringify(configView(config));
  assert.ok(!text.includes("secret-") && !text.includes("very-secret"));
  assert.ok(!text.includes("also-secret"));
  assert.match(text, /"network":"n1"/);
  assert.match(text, /"x_key":"<redacted>"/);
});
