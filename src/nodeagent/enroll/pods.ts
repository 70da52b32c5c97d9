/** Which pods of a node are to be in the mesh, and how: a pure view of the objects. */
import {
  decideEnrollment,
  exclusionText,
  NETNS_ANNOTATION,
} from "../../shared/model/enrollment.ts";
import { type IpAddress, parseIp } from "../../shared/net/ip.ts";
import { type ObjectOf, podServiceAccount, podUid } from "../../shared/objects/kinds.ts";
import { type ObjectSnapshot, objectsOfKind } from "../../shared/objects/source.ts";
import type { WorkloadInfo } from "../../shared/zds/messages.ts";
import type { RedirectionOptions } from "../redirect/rules.ts";
import { type RedirectionDefaults, redirectionChoice } from "./redirection-options.ts";

/** A pod that is to be in the mesh. */
export interface EnrolledPod {
  readonly uid: string;
  readonly info: WorkloadInfo;
  readonly netnsPath: string;
  /** From its status; empty while it has none. */
  readonly ips: readonly IpAddress[];
  readonly redirection: RedirectionOptions;
}

export type PodVerdict =
  | { readonly kind: "enrolled"; readonly pod: EnrolledPod }
  /** Stays out, and nobody need worry. The path tells where leftovers of an earlier enrollment would be. */
  | { readonly kind: "out"; readonly reason: string; readonly netnsPath: string | undefined }
  /** Is asked into the mesh but cannot be brought in. */
  | { readonly kind: "impossible"; readonly reason: string };

/** Verdicts on all pods of the node, by uid. */
export function podsOfNode(
  snapshot: ObjectSnapshot,
  node: string,
  defaults: RedirectionDefaults,
): ReadonlyMap<string, PodVerdict> {
  const namespaces = new Map(
    objectsOfKind(snapshot, "Namespace").map((object) => [object.metadata.name, object]),
  );
  const verdicts = new Map<string, PodVerdict>();
  for (const pod of objectsOfKind(snapshot, "Pod")) {
    if (pod.spec.nodeName !== node) continue;
    const namespace = namespaces.get(pod.metadata.namespace);
    verdicts.set(podUid(pod), judge(pod, namespace?.metadata.labels ?? {}, defaults));
  }
  return verdicts;
}

function judge(
  pod: ObjectOf<"Pod">,
  namespaceLabels: Readonly<Record<string, string>>,
  defaults: RedirectionDefaults,
): PodVerdict {
  const { name, namespace, labels, annotations } = pod.metadata;
  const netnsPath = annotations[NETNS_ANNOTATION];
  const decision = decideEnrollment({
    namespace,
    namespaceLabels,
    podLabels: labels,
    podAnnotations: annotations,
    hostNetwork: pod.spec.hostNetwork,
    phase: pod.status?.phase,
  });
  if (!decision.enrolled) return { kind: "out", reason: exclusionText[decision.reason], netnsPath };
  if (netnsPath === undefined || netnsPath === "")
    return { kind: "impossible", reason: `the annotation ${NETNS_ANNOTATION} is missing` };
  const choice = redirectionChoice(annotations, defaults);
  if (choice.kind === "invalid") return { kind: "impossible", reason: choice.reason };
  const info = { name, namespace, serviceAccount: podServiceAccount(pod) };
  return {
    kind: "enrolled",
    pod: { uid: podUid(pod), info, netnsPath, ips: ipsOf(pod), redirection: choice.options },
  };
}

function ipsOf(pod: ObjectOf<"Pod">): IpAddress[] {
  const { podIP, podIPs } = pod.status;
  const texts = new Set([podIP, ...podIPs.map(({ ip }) => ip)]);
  return [...texts].flatMap((text) => (text === undefined ? [] : (parseIp(text) ?? [])));
}
