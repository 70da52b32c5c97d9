/** Readiness as a set of named blockers: ready when the set is empty, and the names say what is still missing. */

export interface ReadinessBlock {
  /** The task is done; idempotent. */
  release(): void;
}

export class Readiness {
  readonly #pending = new Map<symbol, string>();
  readonly #listeners = new Set<() => void>();

  /** Registers a task that must finish before this process is ready. */
  block(task: string): ReadinessBlock {
    const key = Symbol(task);
    this.#pending.set(key, task);
    return {
      release: () => {
        if (!this.#pending.delete(key) || this.#pending.size > 0) return;
        for (const listener of this.#listeners) listener();
      },
    };
  }

  /** Names of the unfinished tasks, sorted, each once. */
  pending(): readonly string[] {
    return [...new Set(this.#pending.values())].sort();
  }

  get ready(): boolean {
    return this.#pending.size === 0;
  }

  /** Calls back each time the last blocker goes; returns the way to stop listening. */
  onReady(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
