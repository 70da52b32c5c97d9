/** What an earlier agent left in the pods of this node: every namespace that an object names is asked for our table. */
import { describeError } from "../../shared/base/errors.ts";
import { NETNS_ANNOTATION } from "../../shared/model/enrollment.ts";
import { type ObjectOf, podServiceAccount, podUid } from "../../shared/objects/kinds.ts";
import { type ObjectSnapshot, objectsOfKind } from "../../shared/objects/source.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { Redirector } from "../redirect/apply.ts";
import type { NamespaceClaims } from "./claims.ts";
import type { Leftover } from "./pod-keeper.ts";

export interface LeftoverDeps {
  readonly log: Logger;
  readonly redirector: Redirector;
}

/** Captured pods by uid, their namespaces claimed. A namespace that cannot be looked into is left out. */
export async function findLeftovers(
  deps: LeftoverDeps,
  claims: NamespaceClaims,
  snapshot: ObjectSnapshot,
  node: string,
): Promise<ReadonlyMap<string, Leftover>> {
  const pods = objectsOfKind(snapshot, "Pod").filter((pod) => pod.spec.nodeName === node);
  const found = await Promise.all(pods.map((pod) => leftoverOf(deps, claims, pod)));
  return new Map(
    pods.flatMap((pod, i): [string, Leftover][] => {
      const leftover = found[i];
      return leftover === undefined ? [] : [[podUid(pod), leftover]];
    }),
  );
}

async function leftoverOf(
  deps: LeftoverDeps,
  claims: NamespaceClaims,
  pod: ObjectOf<"Pod">,
): Promise<Leftover | undefined> {
  const path = pod.metadata.annotations[NETNS_ANNOTATION];
  if (path === undefined || path === "" || pod.spec.hostNetwork) return undefined;
  const uid = podUid(pod);
  try {
    const namespace = claims.open(uid, path, []);
    const { name, namespace: home } = pod.metadata;
    if (await deps.redirector.isApplied(namespace))
      return { info: { name, namespace: home, serviceAccount: podServiceAccount(pod) }, namespace };
    claims.release(uid, namespace);
  } catch (thrown) {
    deps.log.debug("namespace not examined", { uid, error: describeError(thrown) });
  }
  return undefined;
}
