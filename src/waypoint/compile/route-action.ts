/** RouteAction: where a request goes and what is done to it on the way. */
import {
  type InternalRedirectPolicy,
  InternalRedirectPolicySchema,
  RouteAction_ClusterNotFoundResponseCode as NotFound,
  type RetryPolicy as RetryPolicyMessage,
  type RouteAction,
  type RouteAction_RequestMirrorPolicy,
  RouteAction_RequestMirrorPolicySchema,
  type RouteAction_UpgradeConfig,
  RouteAction_UpgradeConfigSchema,
  RouteActionSchema,
  type WeightedCluster_ClusterWeight,
  WeightedCluster_ClusterWeightSchema,
  type WeightedCluster as WeightedClusterMessage,
  WeightedClusterSchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { ClusterChoice, Forward, Mirror, WeightedCluster } from "../model/route.ts";
import { milliseconds } from "./cluster-values.ts";
import { compileMutations } from "./headers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileRewrite } from "./regex.ts";
import { compileHashPolicies } from "./route-hash.ts";
import { compileRetryPolicy } from "./route-retry.ts";
import { compileRuntimeFraction } from "./value-matchers.ts";

const actionFields = {
  used: [
    "cluster",
    "cluster_header",
    "weighted_clusters",
    "cluster_not_found_response_code",
    "prefix_rewrite",
    "regex_rewrite",
    "host_rewrite_literal",
    "auto_host_rewrite",
    "host_rewrite_header",
    "host_rewrite_path_regex",
    "append_x_forwarded_host",
    "timeout",
    "idle_timeout",
    "retry_policy",
    "request_mirror_policies",
    "hash_policy",
    "max_grpc_timeout",
    "upgrade_configs",
    "internal_redirect_policy",
  ],
};

/** Envoy's, where a route says nothing. */
const DEFAULT_TIMEOUT_MS = 15_000;

export interface ActionDefaults {
  /** Of the virtual host. */
  readonly retryPolicy: RetryPolicyMessage | undefined;
  readonly retryPath: Path;
}

const noUpgrades: ReadonlyMap<string, boolean> = new Map();

export function compileForward(
  action: RouteAction,
  defaults: ActionDefaults,
  path: Path,
  notes: Notes,
): Forward {
  checkFields(action, RouteActionSchema, path, notes, actionFields);
  return {
    clusters: clusterChoice(action, path, notes),
    clusterNotFoundStatus: notFoundStatus(action.clusterNotFoundResponseCode, path),
    timeoutMs: milliseconds(action.timeout, DEFAULT_TIMEOUT_MS),
    idleTimeoutMs:
      action.idleTimeout === undefined ? undefined : milliseconds(action.idleTimeout, 0),
    maxGrpcTimeoutMs:
      action.maxGrpcTimeout === undefined ? undefined : milliseconds(action.maxGrpcTimeout, 0),
    pathRewrite: pathRewrite(action, path, notes),
    hostRewrite: hostRewrite(action, path, notes),
    appendXForwardedHost: action.appendXForwardedHost,
    retry: retry(action, defaults, path, notes),
    hashPolicy: compileHashPolicies(action.hashPolicy, path, notes),
    mirrors: action.requestMirrorPolicies.map((one, index) =>
      mirror(one, item(path, "request_mirror_policies", index), notes),
    ),
    upgrades: upgrades(action.upgradeConfigs, path, notes),
    internalRedirect:
      action.internalRedirectPolicy &&
      internalRedirect(action.internalRedirectPolicy, at(path, "internal_redirect_policy"), notes),
  };
}

function notFoundStatus(code: NotFound, path: Path): number {
  switch (code) {
    case NotFound.SERVICE_UNAVAILABLE:
      return 503;
    case NotFound.NOT_FOUND:
      return 404;
    case NotFound.INTERNAL_SERVER_ERROR:
      return 500;
    default:
      throw new CompileError(at(path, "cluster_not_found_response_code"), `${code} is unknown`);
  }
}

function clusterChoice(action: RouteAction, path: Path, notes: Notes): ClusterChoice {
  const { clusterSpecifier: specifier } = action;
  switch (specifier.case) {
    case "cluster": {
      const cluster = specifier.value;
      if (cluster === "") throw new CompileError(at(path, "cluster"), "is empty");
      return { kind: "one", cluster, chosen: { cluster, weighted: undefined } };
    }
    case "clusterHeader":
      return { kind: "header", header: specifier.value.toLowerCase() };
    case "weightedClusters":
      return weightedChoice(specifier.value, at(path, "weighted_clusters"), notes);
    default:
      throw new CompileError(path, "names no cluster");
  }
}

const weightedFields = { used: ["clusters"], decorative: ["total_weight", "runtime_key_prefix"] };

function weightedChoice(weighted: WeightedClusterMessage, path: Path, notes: Notes): ClusterChoice {
  checkFields(weighted, WeightedClusterSchema, path, notes, weightedFields);
  const clusters = weighted.clusters.map((one, index) =>
    weightedCluster(one, item(path, "clusters", index), notes),
  );
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) throw new CompileError(at(path, "clusters"), "has no weight above zero");
  return { kind: "weighted", total, clusters };
}

const weightFields = {
  used: [
    "name",
    "cluster_header",
    "weight",
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
    "host_rewrite_literal",
  ],
};

function weightedCluster(
  one: WeightedCluster_ClusterWeight,
  path: Path,
  notes: Notes,
): WeightedCluster {
  checkFields(one, WeightedCluster_ClusterWeightSchema, path, notes, weightFields);
  if ((one.name === "") === (one.clusterHeader === ""))
    throw new CompileError(path, "needs either a name or a cluster_header");
  const { hostRewriteSpecifier: host } = one;
  return {
    cluster: one.name,
    clusterHeader: one.clusterHeader === "" ? undefined : one.clusterHeader.toLowerCase(),
    weight: one.weight ?? 0,
    requestHeaders: compileMutations(
      "request",
      one.requestHeadersToAdd,
      one.requestHeadersToRemove,
      path,
      notes,
    ),
    responseHeaders: compileMutations(
      "response",
      one.responseHeadersToAdd,
      one.responseHeadersToRemove,
      path,
      notes,
    ),
    hostRewrite: host.case === "hostRewriteLiteral" && host.value !== "" ? host.value : undefined,
  };
}

function pathRewrite(action: RouteAction, path: Path, notes: Notes): Forward["pathRewrite"] {
  const { prefixRewrite, regexRewrite } = action;
  if (prefixRewrite !== "" && regexRewrite !== undefined)
    throw new CompileError(at(path, "regex_rewrite"), "cannot stand beside prefix_rewrite");
  if (prefixRewrite !== "") return { kind: "prefix", replacement: prefixRewrite };
  if (regexRewrite === undefined) return { kind: "none" };
  return { kind: "regex", ...compileRewrite(regexRewrite, at(path, "regex_rewrite"), notes) };
}

function hostRewrite(action: RouteAction, path: Path, notes: Notes): Forward["hostRewrite"] {
  const { hostRewriteSpecifier: host } = action;
  switch (host.case) {
    case "hostRewriteLiteral":
      return host.value === "" ? { kind: "none" } : { kind: "literal", value: host.value };
    case "autoHostRewrite":
      return host.value ? { kind: "auto" } : { kind: "none" };
    case "hostRewriteHeader":
      return { kind: "header", header: host.value.toLowerCase() };
    case "hostRewritePathRegex": {
      const rewrite = compileRewrite(host.value, at(path, "host_rewrite_path_regex"), notes);
      return { kind: "path-regex", ...rewrite };
    }
    default:
      return { kind: "none" };
  }
}

function retry(
  { retryPolicy }: RouteAction,
  defaults: ActionDefaults,
  path: Path,
  notes: Notes,
): Forward["retry"] {
  if (retryPolicy !== undefined)
    return compileRetryPolicy(retryPolicy, at(path, "retry_policy"), notes);
  if (defaults.retryPolicy !== undefined)
    return compileRetryPolicy(defaults.retryPolicy, defaults.retryPath, notes);
  return undefined;
}

const mirrorFields = {
  used: ["cluster", "runtime_fraction", "trace_sampled", "disable_shadow_host_suffix_append"],
};

function mirror(policy: RouteAction_RequestMirrorPolicy, path: Path, notes: Notes): Mirror {
  checkFields(policy, RouteAction_RequestMirrorPolicySchema, path, notes, mirrorFields);
  if (policy.cluster === "") throw new CompileError(at(path, "cluster"), "is empty");
  const { runtimeFraction } = policy;
  return {
    cluster: policy.cluster,
    fraction:
      runtimeFraction === undefined
        ? undefined
        : compileRuntimeFraction(runtimeFraction, at(path, "runtime_fraction"), notes),
    traceSampled: policy.traceSampled,
    appendShadowSuffix: !policy.disableShadowHostSuffixAppend,
  };
}

const upgradeFields = { used: ["upgrade_type", "enabled"] };

function upgrades(
  configs: readonly RouteAction_UpgradeConfig[],
  path: Path,
  notes: Notes,
): ReadonlyMap<string, boolean> {
  if (configs.length === 0) return noUpgrades;
  const compiled = new Map<string, boolean>();
  for (const [index, config] of configs.entries()) {
    const inside = item(path, "upgrade_configs", index);
    checkFields(config, RouteAction_UpgradeConfigSchema, inside, notes, upgradeFields);
    compiled.set(config.upgradeType.toLowerCase(), config.enabled ?? true);
  }
  return compiled;
}

const redirectFields = {
  used: ["max_internal_redirects", "redirect_response_codes", "allow_cross_scheme_redirect"],
};

function internalRedirect(
  policy: InternalRedirectPolicy,
  path: Path,
  notes: Notes,
): Forward["internalRedirect"] {
  checkFields(policy, InternalRedirectPolicySchema, path, notes, redirectFields);
  const codes = policy.redirectResponseCodes.filter((code) =>
    [301, 302, 303, 307, 308].includes(code),
  );
  return {
    maxRedirects: policy.maxInternalRedirects ?? 1,
    statuses: policy.redirectResponseCodes.length === 0 ? [302] : codes,
    allowCrossScheme: policy.allowCrossSchemeRedirect,
  };
}
