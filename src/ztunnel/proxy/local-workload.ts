/** The mesh's record of the pod that a proxy belongs to. It may arrive a moment after the pod itself. */
import type { Clock } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { MeshStore } from "../../shared/model/store.ts";
import type { Workload } from "../../shared/model/workload.ts";
import type { PodInfo } from "../inpod/pod-proxy.ts";

/** Connections of a pod that is not known yet wait this long (wire/ztunnel.md section 1.9). */
const waitMs = 5000;

export class LocalWorkload {
  readonly #store: Pick<MeshStore, "localWorkload" | "subscribe">;
  readonly #pod: PodInfo;
  readonly #clock: Clock;

  constructor(store: Pick<MeshStore, "localWorkload" | "subscribe">, pod: PodInfo, clock: Clock) {
    this.#store = store;
    this.#pod = pod;
    this.#clock = clock;
  }

  /** The record of this moment. */
  current(): Workload | undefined {
    return this.#store.localWorkload(this.#pod);
  }

  /** The record now or within 5 seconds; rejects with MeshError `unknown-workload`, or with the signal's reason. */
  wait(signal: AbortSignal): Promise<Workload> {
    const found = this.current();
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        unsubscribe();
        deadline.cancel();
        signal.removeEventListener("abort", onAbort);
        finish();
      };
      const onAbort = (): void => settle(() => reject(signal.reason));
      const unsubscribe = this.#store.subscribe(() => {
        const arrived = this.current();
        if (arrived !== undefined) settle(() => resolve(arrived));
      });
      const deadline = this.#clock.after(waitMs, () => settle(() => reject(this.#unknown())));
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  /** Account and namespace as the node agent says, trust domain as the control plane says. */
  identity(workload: Workload): SpiffeIdentity {
    return {
      trustDomain: workload.trustDomain,
      namespace: this.#pod.namespace,
      serviceAccount: this.#pod.serviceAccount,
    };
  }

  #unknown(): MeshError {
    const { name, namespace, serviceAccount } = this.#pod;
    return new MeshError(
      "unknown-workload",
      `failed to fetch information about local workload: ${serviceAccount}.${namespace} (${name})`,
    );
  }
}
