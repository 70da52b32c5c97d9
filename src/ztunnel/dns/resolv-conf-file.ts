/** Follows the resolv.conf of a pod, or our own where the pod's cannot be read. Looked at again every few seconds. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { Clock } from "../../shared/base/clock.ts";
import { parseResolvConf, type ResolverSettings, withoutLoopback } from "./resolver-settings.ts";

const REFRESH_MS = 5000;
const MAX_FILE_BYTES = 64 * 1024;

export interface ResolverFiles {
  /** First choice first; the first that names a usable nameserver wins. Asked again whenever files are read. */
  readonly paths: () => readonly string[];
  /** Whether nameservers on loopback are usable: only where the proxy's sockets live where the file was written for. */
  readonly allowLoopback: boolean;
}

/** Undefined when missing, not a regular file, or unreadable. A pod may have put anything there, a pipe for instance. */
export function readSmallFile(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const buffer = Buffer.alloc(MAX_FILE_BYTES);
    return buffer.toString("utf8", 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

const nothing: ResolverSettings = { nameservers: [], searchDomains: [] };

/** The settings of now; reads files at most every five seconds. */
export function resolverFromFiles(
  files: ResolverFiles,
  clock: Pick<Clock, "monotonicMs">,
  readFile: (path: string) => string | undefined = readSmallFile,
): () => ResolverSettings {
  let current = nothing;
  let staleAtMs = Number.NEGATIVE_INFINITY;
  const read = (): ResolverSettings => {
    for (const path of files.paths()) {
      const text = readFile(path);
      if (text === undefined) continue;
      const parsed = parseResolvConf(text);
      const usable = files.allowLoopback ? parsed : withoutLoopback(parsed);
      if (usable.nameservers.length > 0) return usable;
    }
    return nothing;
  };
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs >= staleAtMs) {
      current = read();
      staleAtMs = nowMs + REFRESH_MS;
    }
    return current;
  };
}
