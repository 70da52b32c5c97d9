/** A stack that is up: where its load goes, and which processes carry it. */
import type { PauseRecords } from "../pauses.ts";
import type { MeshContent } from "../spec.ts";

export interface Role {
  readonly name: string;
  readonly pids: readonly number[];
}

export interface Stack {
  /** Address that clients connect to; the ports are those of topology.ts. */
  readonly host: string;
  /** Processes that the traffic passes through. */
  readonly dataPath: readonly Role[];
  /** Processes that only tell them what to do. */
  readonly control: readonly Role[];
  readonly startedInMs: number;
  /** Of the collector, where processes of ours are among these. */
  readonly pauses?: PauseRecords;
  /** From changes on disk to their effect on connections, two each time; undefined where nothing can be changed. */
  readonly pushEffectsMs?: (times: number) => Promise<readonly number[]>;
}

export interface StackOptions {
  readonly program: readonly string[];
  readonly content: MeshContent;
}

export function pidsOf(roles: readonly Role[]): readonly number[] {
  return roles.flatMap(({ pids }) => pids);
}
