/**
 * The way of a pod into the mesh and out of it, as a ladder: each rung needs the one below. Going up, the listeners are there
 * before the rules, and the rules before anybody is told to use the tunnel; going down, the other way round. So there is
 * no moment in which a connection is sent to where nobody listens. A pod may turn round on any rung.
 */

export const rungs = [
  /** Nothing of ours is in the pod. */
  "outside",
  /** Its namespace is open. */
  "opened",
  /** The ztunnel has its listeners in the pod. */
  "announced",
  /** New connections go through the ztunnel. */
  "redirected",
  /** The control plane knows, so that peers use the tunnel. */
  "published",
] as const;

export type Rung = (typeof rungs)[number];

export type Move =
  | { readonly kind: "settled" }
  /** Reach `to` from the rung below. */
  | { readonly kind: "up"; readonly to: Exclude<Rung, "outside"> }
  /** Give up `from`; the pod stands on the rung below afterwards. */
  | { readonly kind: "down"; readonly from: Exclude<Rung, "outside"> };

/** The next step of a pod that stands on `rung`. */
export function nextMove(rung: Rung, wanted: boolean): Move {
  const at = rungs.indexOf(rung);
  if (wanted) {
    const to = rungs[at + 1];
    return to === undefined || to === "outside" ? { kind: "settled" } : { kind: "up", to };
  }
  return rung === "outside" ? { kind: "settled" } : { kind: "down", from: rung };
}

export function rungBelow(rung: Exclude<Rung, "outside">): Rung {
  return rungs[rungs.indexOf(rung) - 1] ?? "outside";
}

/** Whether a pod on `rung` has passed (or stands on) `other`. */
export function isAtLeast(rung: Rung, other: Rung): boolean {
  return rungs.indexOf(rung) >= rungs.indexOf(other);
}
