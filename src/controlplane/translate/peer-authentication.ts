/**
 * PeerAuthentication on a node proxy is a matter of DENY policies: STRICT denies whoever has no identity. One static
 * policy serves every workload that is STRICT as a whole; modes by port make a policy of their own.
 */
import type { Labels } from "../../shared/model/enrollment.ts";
import type { Policy, PolicyClause, PolicyMatch, PolicyRule } from "../../shared/model/policy.ts";
import { emptyMatch, matchOf } from "../../shared/model/policy-match.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { isSubset } from "./label-index.ts";
import { byAge } from "./objects.ts";

type PeerAuthentication = ObjectOf<"PeerAuthentication">;
type Mode = "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT";

const STATIC_STRICT = "istio_converted_static_strict";

const withoutIdentity: PolicyMatch = { ...emptyMatch, notPrincipals: [{ kind: "presence" }] };

export function staticStrictPolicy(rootNamespace: string): Policy {
  return {
    name: STATIC_STRICT,
    namespace: rootNamespace,
    scope: "WorkloadSelector",
    action: "Deny",
    rules: [{ clauses: [{ matches: [withoutIdentity] }] }],
    dryRun: false,
  };
}

/** The policies of a mesh by namespace, oldest first. */
export class PeerAuthentications {
  readonly #rootNamespace: string;
  readonly #byNamespace = new Map<string, PeerAuthentication[]>();
  /** Oldest first. */
  readonly all: readonly PeerAuthentication[];

  constructor(policies: readonly PeerAuthentication[], rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
    this.all = [...policies].sort(byAge);
    for (const policy of this.all) {
      const group = this.#byNamespace.get(policy.metadata.namespace);
      if (group === undefined) this.#byNamespace.set(policy.metadata.namespace, [policy]);
      else group.push(policy);
    }
  }

  /** `namespace/name` of what a workload carries in its list, sorted. */
  policiesFor(namespace: string, labels: Labels): readonly string[] {
    if (this.all.length === 0) return [];
    const own = this.#byNamespace.get(namespace) ?? [];
    const inRoot = namespace === this.#rootNamespace;
    const wide = own.find((policy) => isWide(policy));
    const mesh = inRoot ? wide : this.#wideOf(this.#rootNamespace);
    const workload = inRoot
      ? undefined
      : own.find((policy) => !isWide(policy) && isSubset(selectorOf(policy), labels));
    const strictAround = isStrictAround(inRoot ? undefined : wide, mesh);
    const keys =
      workload === undefined
        ? keysOf(this.#rootNamespace, strictAround)
        : this.#keysFor(workload, strictAround);
    return [...keys].sort();
  }

  /** All policies to send: nothing without any PeerAuthentication, else the static one and those by port. */
  policies(): readonly Policy[] {
    if (this.all.length === 0) return [];
    return [
      staticStrictPolicy(this.#rootNamespace),
      ...this.all.flatMap((policy) => this.#portPolicy(policy) ?? []),
    ];
  }

  #wideOf(namespace: string): PeerAuthentication | undefined {
    return this.#byNamespace.get(namespace)?.find(({ spec }) => spec.selector === undefined);
  }

  #keysFor(workload: PeerAuthentication, strictAround: boolean): readonly string[] {
    const own = modeOf(workload);
    const ports = Object.values(workload.spec.portLevelMtls).map(({ mode }) => mode);
    const strict = own === "UNSET" ? strictAround : own === "STRICT";
    // An exception under an inherited STRICT counts only when it says PERMISSIVE, as in the reference.
    const exceptions: readonly Mode[] =
      own === "UNSET" ? ["PERMISSIVE"] : ["PERMISSIVE", "DISABLE"];
    const usesPorts = strict
      ? ports.some((mode) => exceptions.includes(mode))
      : ports.includes("STRICT");
    if (!usesPorts) return keysOf(this.#rootNamespace, strict);
    // The port policy repeats the general STRICT: beside the static policy its exceptions would never count.
    return [`${workload.metadata.namespace}/${portPolicyName(workload)}`];
  }

  #portPolicy(policy: PeerAuthentication): Policy | undefined {
    const { namespace } = policy.metadata;
    if (namespace === this.#rootNamespace || policy.spec.selector === undefined) return undefined;
    const strictAround = isStrictAround(this.#wideOf(namespace), this.#wideOf(this.#rootNamespace));
    const rules = portRules(policy, strictAround);
    if (rules.length === 0) return undefined;
    return {
      name: portPolicyName(policy),
      namespace,
      scope: "WorkloadSelector",
      action: "Deny",
      rules,
      dryRun: false,
    };
  }
}

function portPolicyName(policy: PeerAuthentication): string {
  return `converted_peer_authentication_${policy.metadata.name}`;
}

function keysOf(rootNamespace: string, strict: boolean): readonly string[] {
  return strict ? [`${rootNamespace}/${STATIC_STRICT}`] : [];
}

function modeOf(policy: PeerAuthentication | undefined): Mode {
  return policy?.spec.mtls?.mode ?? "UNSET";
}

function selectorOf(policy: PeerAuthentication): Labels {
  return policy.spec.selector?.matchLabels ?? {};
}

function isWide(policy: PeerAuthentication): boolean {
  return Object.keys(selectorOf(policy)).length === 0;
}

/** The mode that holds where the workload's own policy says nothing. */
function isStrictAround(
  namespaceWide: PeerAuthentication | undefined,
  meshWide: PeerAuthentication | undefined,
): boolean {
  const own = modeOf(namespaceWide);
  return own === "UNSET" ? modeOf(meshWide) === "STRICT" : own === "STRICT";
}

/**
 * Rules are alternatives, clauses of one rule hold together. A STRICT port in an open workload: deny there without
 * identity. An open port in a STRICT workload: deny without identity unless it is one of those ports.
 */
function portRules(policy: PeerAuthentication, strictAround: boolean): readonly PolicyRule[] {
  const mode = modeOf(policy);
  const strict = mode === "UNSET" ? strictAround : mode === "STRICT";
  if (strict) {
    const open = portsOf(policy, ["PERMISSIVE", "DISABLE"]);
    return open.length === 0 ? [] : [{ clauses: openPortClauses(open, mode, strictAround) }];
  }
  return portsOf(policy, ["STRICT"]).map((port) => ({
    clauses: [{ matches: [{ ...withoutIdentity, destinationPorts: [port] }] }],
  }));
}

function portsOf(policy: PeerAuthentication, modes: readonly Mode[]): readonly number[] {
  return Object.entries(policy.spec.portLevelMtls)
    .filter(([, { mode }]) => modes.includes(mode))
    .map(([port]) => Number(port))
    .sort((a, b) => a - b);
}

/** A STRICT parent adds its clause even beside the one of a STRICT workload; the reference's wire shows both. */
function openPortClauses(
  openPorts: readonly number[],
  mode: Mode,
  strictAround: boolean,
): readonly PolicyClause[] {
  const strict: PolicyClause = { matches: [withoutIdentity] };
  return [
    ...(mode === "STRICT" ? [strict] : []),
    ...openPorts.map((port) => ({ matches: [matchOf({ notDestinationPorts: [port] })] })),
    ...(strictAround ? [strict] : []),
  ];
}
