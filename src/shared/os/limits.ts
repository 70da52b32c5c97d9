/** Limits of the process. */
import { RLIMIT_NOFILE } from "./constants.ts";
import { checked, libc } from "./libc.ts";

export interface FileLimit {
  /** What holds now. */
  readonly soft: bigint;
  readonly hard: bigint;
}

/** Raises the number of descriptors this process may hold to what it is allowed at most. Returns what holds afterwards. */
export function raiseFileLimit(): FileLimit {
  const limits = Buffer.alloc(16);
  checked("getrlimit", libc().getrlimit(RLIMIT_NOFILE, limits));
  const hard = limits.readBigUInt64LE(8);
  limits.writeBigUInt64LE(hard, 0);
  checked("setrlimit", libc().setrlimit(RLIMIT_NOFILE, limits));
  return { soft: hard, hard };
}
