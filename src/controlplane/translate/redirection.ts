/** Whether a pod's traffic passes through its node proxy: what the objects say, or in file mode what the node agents say. */
import { decideEnrollment, NETNS_ANNOTATION } from "../../shared/model/enrollment.ts";
import { type ObjectOf, podUid } from "../../shared/objects/kinds.ts";
import type { ObjectTable } from "./objects.ts";
import { isMarkedRedirected } from "./workload-parts.ts";

/** Uids of redirected pods by node; a node without an entry has not spoken, and the rule alone decides. */
export type RedirectedPods = ReadonlyMap<string, ReadonlySet<string>>;

export function isRedirected(
  pod: ObjectOf<"Pod">,
  objects: ObjectTable,
  redirected: RedirectedPods,
): boolean {
  if (isMarkedRedirected(pod)) return true;
  const { metadata, spec, status } = pod;
  if (!Object.hasOwn(metadata.annotations, NETNS_ANNOTATION)) return false;
  const decision = decideEnrollment({
    namespace: metadata.namespace,
    namespaceLabels: objects.namespaceLabels(metadata.namespace),
    podLabels: metadata.labels,
    podAnnotations: metadata.annotations,
    hostNetwork: spec.hostNetwork,
    phase: status.phase,
  });
  if (!decision.enrolled) return false;
  return redirected.get(spec.nodeName)?.has(podUid(pod)) ?? true;
}
