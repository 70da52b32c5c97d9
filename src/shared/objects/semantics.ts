/**
 * Rules that a type alone does not state. An object that breaks one is refused as a whole: a policy of which a part
 * cannot be evaluated must not be enforced without that part.
 */
import { parseCidr } from "../net/cidr.ts";
import { Checker } from "./checks.ts";
import { checkDestinationRule } from "./destination-semantics.ts";
import { MESH_CONFIG_KEY, MESH_CONFIG_NAME, parseMeshConfig } from "./kinds/mesh-config.ts";
import type { MeshObject, ObjectOf } from "./kinds.ts";
import { checkGrpcRoute, checkHttpRoute, checkVirtualService } from "./route-semantics.ts";
import type { Path, Problem } from "./schema.ts";
import { checkRequestAuthentication } from "./token-semantics.ts";

const DNS_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export function checkObject(object: MeshObject): readonly Problem[] {
  const problems: Problem[] = [];
  if (!DNS_NAME.test(object.metadata.name) && !object.metadata.name.includes(":"))
    problems.push({ path: ["metadata", "name"], reason: "not a valid name" });
  switch (object.kind) {
    case "AuthorizationPolicy":
      checkLabels(object.spec.selector?.matchLabels, ["spec", "selector", "matchLabels"], problems);
      checkAuthorizationPolicy(object, problems);
      break;
    case "PeerAuthentication":
      checkLabels(object.spec.selector?.matchLabels, ["spec", "selector", "matchLabels"], problems);
      checkPeerAuthentication(object, problems);
      break;
    case "ServiceEntry":
      checkLabels(
        object.spec.workloadSelector?.labels,
        ["spec", "workloadSelector", "labels"],
        problems,
      );
      break;
    case "ConfigMap": {
      const mesh = object.data[MESH_CONFIG_KEY];
      if (object.metadata.name === MESH_CONFIG_NAME && mesh !== undefined)
        parseMeshConfig(mesh, problems);
      break;
    }
    case "VirtualService":
      checkVirtualService(object, new Checker(problems));
      break;
    case "DestinationRule":
      checkDestinationRule(object, new Checker(problems));
      break;
    case "RequestAuthentication":
      checkLabels(object.spec.selector?.matchLabels, ["spec", "selector", "matchLabels"], problems);
      checkRequestAuthentication(object, new Checker(problems));
      break;
    case "HTTPRoute":
      checkHttpRoute(object, new Checker(problems));
      break;
    case "GRPCRoute":
      checkGrpcRoute(object, new Checker(problems));
      break;
    default:
      break;
  }
  return problems;
}

/** A selector with a wildcard would match no label that can exist, and so silently nothing. */
function checkLabels(
  labels: Readonly<Record<string, string>> | undefined,
  path: Path,
  problems: Problem[],
): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (value.includes("*"))
      problems.push({ path: [...path, key], reason: "a selector takes no wildcard" });
  }
}

function checkPeerAuthentication(
  policy: ObjectOf<"PeerAuthentication">,
  problems: Problem[],
): void {
  const ports = Object.keys(policy.spec.portLevelMtls);
  for (const port of ports) {
    if (!isPort(port))
      problems.push({
        path: ["spec", "portLevelMtls", port],
        reason: "the key must be a port from 1 to 65535",
      });
  }
  if (ports.length > 0 && Object.keys(policy.spec.selector?.matchLabels ?? {}).length === 0)
    problems.push({
      path: ["spec", "portLevelMtls"],
      reason: "needs a selector: port modes apply to chosen workloads only",
    });
}

function checkAuthorizationPolicy(
  policy: ObjectOf<"AuthorizationPolicy">,
  problems: Problem[],
): void {
  const { selector, targetRef, targetRefs, rules } = policy.spec;
  if (selector !== undefined && (targetRef !== undefined || targetRefs.length > 0))
    problems.push({
      path: ["spec", "selector"],
      reason: "cannot stand beside targetRef or targetRefs",
    });
  rules.forEach((rule, index) => {
    const at: Path = ["spec", "rules", index];
    rule.from.forEach(({ source }, i) => {
      if (saysNothing(source))
        problems.push({ path: [...at, "from", i, "source"], reason: SAYS_NOTHING });
      for (const field of [
        "ipBlocks",
        "notIpBlocks",
        "remoteIpBlocks",
        "notRemoteIpBlocks",
      ] as const)
        checkEach(
          source?.[field],
          [...at, "from", i, "source", field],
          isCidr,
          "not an IP address or CIDR",
          problems,
        );
    });
    rule.to.forEach(({ operation }, i) => {
      if (saysNothing(operation))
        problems.push({ path: [...at, "to", i, "operation"], reason: SAYS_NOTHING });
      for (const field of ["ports", "notPorts"] as const)
        checkEach(
          operation?.[field],
          [...at, "to", i, "operation", field],
          isRulePort,
          "not a port from 0 to 65535",
          problems,
        );
    });
    rule.when.forEach((condition, i) => {
      checkCondition(condition, [...at, "when", i], problems);
    });
  });
}

const SAYS_NOTHING = "says nothing, and would never match: leave it out to match everything";

function saysNothing(part: Readonly<Record<string, readonly unknown[]>> | undefined): boolean {
  return Object.values(part ?? {}).every((values) => values.length === 0);
}

type Condition = ObjectOf<"AuthorizationPolicy">["spec"]["rules"][number]["when"][number];

function checkCondition(condition: Condition, path: Path, problems: Problem[]): void {
  if (!isKnownKey(condition.key))
    problems.push({
      path: [...path, "key"],
      reason: `unknown attribute ${JSON.stringify(condition.key)}`,
    });
  if (condition.values.length === 0 && condition.notValues.length === 0)
    problems.push({ path, reason: "needs values or notValues" });
  for (const field of ["values", "notValues"] as const) {
    if (condition.key.endsWith(".ip"))
      checkEach(condition[field], [...path, field], isCidr, "not an IP address or CIDR", problems);
    if (condition.key === "destination.port")
      checkEach(
        condition[field],
        [...path, field],
        isRulePort,
        "not a port from 0 to 65535",
        problems,
      );
  }
}

const ATTRIBUTES: ReadonlySet<string> = new Set([
  "source.ip",
  "remote.ip",
  "source.namespace",
  "source.principal",
  "source.serviceAccount",
  "source.trustDomain",
  "request.auth.principal",
  "request.auth.audiences",
  "request.auth.presenter",
  "destination.ip",
  "destination.port",
  "connection.sni",
]);

function isKnownKey(key: string): boolean {
  return (
    ATTRIBUTES.has(key) ||
    /^request\.headers\[[^\]]+\]$/.test(key) ||
    /^request\.auth\.claims(\[[^\]]+\])+$/.test(key) ||
    key.startsWith("experimental.")
  );
}

function checkEach(
  values: readonly string[] | undefined,
  path: Path,
  holds: (value: string) => boolean,
  reason: string,
  problems: Problem[],
): void {
  values?.forEach((value, index) => {
    if (!holds(value))
      problems.push({ path: [...path, index], reason: `${JSON.stringify(value)} is ${reason}` });
  });
}

function isCidr(text: string): boolean {
  return parseCidr(text) !== undefined;
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65535;
}

/** A rule may name port 0; no connection ever has it. */
function isRulePort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65535;
}
