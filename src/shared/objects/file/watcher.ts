/**
 * Tells that something below some folders may have changed. Events of the file system come first, gathered over a short
 * quiet time; a slow poll stands behind them, because events are not delivered on every file system and are lost when a
 * watched folder is replaced. The listener looks for itself what changed, so a needless call costs little.
 */
import { type FSWatcher, watch } from "node:fs";
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

export class FolderWatcher {
  readonly #clock: Clock;
  readonly #options: WatcherOptions;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #poll: Timer;
  #pending: { readonly sinceMs: number; timer: Timer } | undefined;

  constructor(clock: Clock, onChange: () => void, options: WatcherOptions = defaultWatcherOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#onChange = onChange;
    this.#poll = clock.every(options.pollMs, onChange);
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
      const watcher = watch(folder, { persistent: false }, () => this.#noticed());
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
    this.#noticed();
  }

  #noticed(): void {
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = this.#pending?.sinceMs ?? nowMs;
    this.#pending?.timer.cancel();
    const leftMs = Math.max(0, this.#options.patienceMs - (nowMs - sinceMs));
    const timer = this.#clock.after(Math.min(this.#options.quietMs, leftMs), () => {
      this.#pending = undefined;
      this.#onChange();
    });
    this.#pending = { sinceMs, timer };
  }
}
