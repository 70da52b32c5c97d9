/**
 * Who is in the mesh: one pure rule over labels and annotations, used by the node agent (which acts on it) and by the
 * control plane in file mode (which must know what the node agent will do). Rows EN-01 to EN-05 of the feature list.
 */

/** The label on a namespace or a pod, and its two meaningful values. */
export const DATAPLANE_MODE_LABEL = "istio.io/dataplane-mode";
export const DATAPLANE_MODE_AMBIENT = "ambient";
export const DATAPLANE_MODE_NONE = "none";
/** Written by a sidecar injector; its presence means that the pod already has a proxy of its own. */
export const SIDECAR_STATUS_ANNOTATION = "sidecar.istio.io/status";
/** `enabled` once the redirection of the pod is in place; written by the node agent in Kubernetes. */
export const REDIRECTION_ANNOTATION = "ambient.istio.io/redirection";
/** File mode: path of the pod's network namespace. */
export const NETNS_ANNOTATION = "ambit.dev/netns";

export type Labels = Readonly<Record<string, string>>;

export interface EnrollmentSubject {
  readonly namespace: string;
  readonly namespaceLabels: Labels;
  readonly podLabels: Labels;
  readonly podAnnotations: Labels;
  readonly hostNetwork: boolean;
  /** `status.phase`; undefined counts as running. */
  readonly phase?: string | undefined;
}

/** A Kubernetes label selector; its terms are AND. An empty selector matches everything. */
export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly LabelExpression[];
}

export interface LabelExpression {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

/** A pod is captured when any entry matches; both selectors of an entry must match, an absent one matches all. */
export interface EnablementSelector {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
}

export interface EnrollmentRules {
  readonly selectors: readonly EnablementSelector[];
  /** Namespaces that are never captured. */
  readonly excludeNamespaces: readonly string[];
}

/** Together these two entries say: the pod's own label decides, else the namespace's. */
export const defaultEnrollmentRules: EnrollmentRules = {
  selectors: [
    { podSelector: { matchLabels: { [DATAPLANE_MODE_LABEL]: DATAPLANE_MODE_AMBIENT } } },
    {
      podSelector: {
        matchExpressions: [
          { key: DATAPLANE_MODE_LABEL, operator: "NotIn", values: [DATAPLANE_MODE_NONE] },
        ],
      },
      namespaceSelector: { matchLabels: { [DATAPLANE_MODE_LABEL]: DATAPLANE_MODE_AMBIENT } },
    },
  ],
  excludeNamespaces: ["kube-system"],
};

export type EnrollmentDecision =
  | { readonly enrolled: true; readonly by: "pod-label" | "namespace-label" | "selector" }
  | { readonly enrolled: false; readonly reason: ExclusionReason };

export type ExclusionReason =
  | "pod-finished"
  | "host-network"
  | "sidecar-injected"
  | "namespace-excluded"
  | "opted-out"
  | "not-selected";

/** Text for a person, for logs and `ambit status`. */
export const exclusionText: Readonly<Record<ExclusionReason, string>> = {
  "pod-finished": "the pod has run to its end",
  "host-network": "the pod uses the network of its node",
  "sidecar-injected": "the pod has a sidecar of its own",
  "namespace-excluded": "the namespace is excluded",
  "opted-out": `the pod carries the label ${DATAPLANE_MODE_LABEL}=${DATAPLANE_MODE_NONE}`,
  "not-selected": `neither the pod nor its namespace carries the label ${DATAPLANE_MODE_LABEL}=${DATAPLANE_MODE_AMBIENT}`,
};

/** Decides about one pod. What makes a pod impossible to capture is looked at before what asks for its capture. */
export function decideEnrollment(
  subject: EnrollmentSubject,
  rules: EnrollmentRules = defaultEnrollmentRules,
): EnrollmentDecision {
  const obstacle = exclusionOf(subject, rules);
  if (obstacle !== undefined) return { enrolled: false, reason: obstacle };
  if (!rules.selectors.some((selector) => selects(selector, subject))) {
    const optedOut = subject.podLabels[DATAPLANE_MODE_LABEL] === DATAPLANE_MODE_NONE;
    return { enrolled: false, reason: optedOut ? "opted-out" : "not-selected" };
  }
  if (subject.podLabels[DATAPLANE_MODE_LABEL] === DATAPLANE_MODE_AMBIENT)
    return { enrolled: true, by: "pod-label" };
  if (subject.namespaceLabels[DATAPLANE_MODE_LABEL] === DATAPLANE_MODE_AMBIENT)
    return { enrolled: true, by: "namespace-label" };
  return { enrolled: true, by: "selector" };
}

function exclusionOf(
  subject: EnrollmentSubject,
  rules: EnrollmentRules,
): ExclusionReason | undefined {
  if (subject.phase === "Succeeded" || subject.phase === "Failed") return "pod-finished";
  if (subject.hostNetwork) return "host-network";
  if (Object.hasOwn(subject.podAnnotations, SIDECAR_STATUS_ANNOTATION)) return "sidecar-injected";
  if (rules.excludeNamespaces.includes(subject.namespace)) return "namespace-excluded";
  return undefined;
}

function selects(selector: EnablementSelector, subject: EnrollmentSubject): boolean {
  return (
    matchesSelector(selector.podSelector, subject.podLabels) &&
    matchesSelector(selector.namespaceSelector, subject.namespaceLabels)
  );
}

/** Kubernetes semantics: `NotIn` also matches when the key is absent. */
export function matchesSelector(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (selector === undefined) return true;
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
  }
  return (selector.matchExpressions ?? []).every((expression) => holds(expression, labels));
}

function holds(expression: LabelExpression, labels: Labels): boolean {
  const value = Object.hasOwn(labels, expression.key) ? labels[expression.key] : undefined;
  const listed = value !== undefined && (expression.values ?? []).includes(value);
  switch (expression.operator) {
    case "In":
      return listed;
    case "NotIn":
      return !listed;
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}
