/**
 * Tells that something below some folders may have changed. Events of the file system come first, gathered over a short
 * quiet time; a slow poll stands behind them, because events are not delivered on every file system and are lost when a
 * watched folder is replaced. The listener looks for itself what changed, so a needless call costs little.
 */
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { Clock, Timer } from "../../base/clock.ts";

export interface WatcherOptions {
  /** Calls wait until nothing happened for this long. */
  readonly quietMs: number;
  /** A call is made after this long even if events keep coming. */
  readonly patienceMs: number;
  readonly pollMs: number;
}

export const defaultWatcherOptions: WatcherOptions = {
  quietMs: 40,
  patienceMs: 400,
  pollMs: 2000,
};

/** Paths that events named; undefined when anything may have changed. */
export type Touched = ReadonlySet<string> | undefined;

interface PendingCall {
  readonly sinceMs: number;
  timer: Timer;
  touched: Set<string> | undefined;
}

export class FolderWatcher {
  readonly #clock: Clock;
  readonly #options: WatcherOptions;
  readonly #onChange: (touched: Touched) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #poll: Timer;
  #pending: PendingCall | undefined;

  constructor(
    clock: Clock,
    onChange: (touched: Touched) => void,
    options: WatcherOptions = defaultWatcherOptions,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#onChange = onChange;
    this.#poll = clock.every(options.pollMs, () => onChange(undefined));
  }

  /** Watches exactly these folders from now on. A folder that cannot be watched is left to the poll. */
  setFolders(folders: readonly string[]): void {
    const wanted = new Set(folders);
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) {
      if (!this.#watchers.has(folder)) this.#watch(folder);
    }
  }

  close(): void {
    this.#poll.cancel();
    this.#pending?.timer.cancel();
    this.setFolders([]);
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) =>
        this.#noticed(name === null ? undefined : join(folder, name)),
      );
      watcher.on("error", () => this.#drop(folder, watcher));
      this.#watchers.set(folder, watcher);
    } catch {
      // Absent or out of watches: the poll notices changes, and setFolders tries again after it.
      this.#watchers.delete(folder);
    }
  }

  #drop(folder: string, watcher: FSWatcher): void {
    watcher.close();
    if (this.#watchers.get(folder) === watcher) this.#watchers.delete(folder);
    this.#noticed(undefined);
  }

  #noticed(path: string | undefined): void {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#pending;
    before?.timer.cancel();
    const sinceMs = before?.sinceMs ?? nowMs;
    const touched = before === undefined ? new Set<string>() : before.touched;
    if (path !== undefined) touched?.add(path);
    const leftMs = Math.max(0, this.#options.patienceMs - (nowMs - sinceMs));
    const timer = this.#clock.after(Math.min(this.#options.quietMs, leftMs), () => this.#call());
    this.#pending = { sinceMs, timer, touched: path === undefined ? undefined : touched };
  }

  #call(): void {
    const touched = this.#pending?.touched;
    this.#pending = undefined;
    this.#onChange(touched);
  }
}
