/** What the workload manager asks of the data path: one proxy a pod. */
import type { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import type { WorkloadInfo } from "../../shared/zds/messages.ts";

/** Who the pod is, as the node agent announced it. */
export type PodInfo = WorkloadInfo;

export interface Pod {
  /** Kubernetes pod UID. */
  readonly uid: string;
  readonly info: PodInfo;
  /** Owned by the manager: stays open until the proxy was stopped or its start failed. */
  readonly namespace: NetworkNamespace;
}

export interface PodProxy {
  /** Listeners close at once, open connections go on until they end or the deadline passes. Then as stop(). */
  drain(deadlineMs: number): Promise<void>;
  /** Cuts everything now. Idempotent. */
  stop(): void;
}

export interface PodProxyFactory {
  /** Resolves when all listeners of the pod accept; rejects (and leaves nothing behind) when one cannot. */
  start(pod: Pod): Promise<PodProxy>;
}
