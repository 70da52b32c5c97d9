/**
 * Where the resolver settings of a pod are found from outside: the file that `ip netns` keeps for a named namespace, or the
 * file system of a process that runs in it. The second needs processes of other containers to be visible; where they are
 * not (a ztunnel in Kubernetes without hostPID) nothing is found and the caller's own settings serve.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../shared/base/clock.ts";

/** A network namespace as the kernel names it. */
export interface NamespaceId {
  readonly inode: bigint;
  readonly device: bigint;
}

export interface ResolvConfRoots {
  readonly proc: string;
  /** Named namespaces. */
  readonly netns: string;
  /** Files per named namespace, see ip-netns(8). */
  readonly netnsFiles: string;
}

const systemRoots: ResolvConfRoots = {
  proc: "/proc",
  netns: "/run/netns",
  netnsFiles: "/etc/netns",
};

/** A search through all processes is not repeated sooner. */
const SEARCH_AGAIN_MS = 60_000;

function isSame(path: string, id: NamespaceId): boolean {
  try {
    const { ino, dev } = statSync(path, { bigint: true });
    return ino === id.inode && dev === id.device;
  } catch {
    // Gone, or none of our business.
    return false;
  }
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The files that may hold a pod's settings now, the best first. Cheap: what was found is only checked again. */
export function podResolvConfPaths(
  id: NamespaceId,
  clock: Pick<Clock, "monotonicMs">,
  roots: ResolvConfRoots = systemRoots,
): () => readonly string[] {
  let process: string | undefined;
  let name: string | undefined;
  let searchAtMs = Number.NEGATIVE_INFINITY;
  const inNamespace = (pid: string): boolean => isSame(join(roots.proc, pid, "ns/net"), id);
  const search = (): void => {
    name = entries(roots.netns).find((entry) => isSame(join(roots.netns, entry), id));
    process = entries(roots.proc)
      .filter((entry) => /^\d+$/.test(entry))
      .find(inNamespace);
  };
  return () => {
    const nowMs = clock.monotonicMs();
    const lost = process === undefined || !inNamespace(process);
    if (lost && nowMs >= searchAtMs) {
      searchAtMs = nowMs + SEARCH_AGAIN_MS;
      search();
    } else if (lost) {
      process = undefined;
    }
    return [
      ...(name === undefined ? [] : [join(roots.netnsFiles, name, "resolv.conf")]),
      ...(process === undefined ? [] : [join(roots.proc, process, "root/etc/resolv.conf")]),
    ];
  };
}
