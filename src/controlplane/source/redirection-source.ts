/** Follows the status files in which node agents say whose redirection is in place (file mode only). */
import { basename, dirname } from "node:path";
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { FolderWatcher } from "../../shared/objects/file/watcher.ts";
import { readRedirectionStatuses, redirectionStatusDir } from "../../shared/status/redirection.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { RedirectedPods } from "../translate/redirection.ts";
import { coalesce } from "./coalesce.ts";

/** Short: new connections of an enrolling pod wait for nothing else. */
const watcherOptions = { quietMs: 10, patienceMs: 100, pollMs: 1000 };

export class RedirectionSource {
  readonly #log: Logger;
  readonly #statusDir: string;
  readonly #watcher: FolderWatcher;
  readonly #listeners = new Set<() => void>();
  #redirected: RedirectedPods = new Map();
  #problems = "";

  private constructor(statusDir: string, clock: Clock, log: Logger) {
    this.#statusDir = statusDir;
    this.#log = log;
    const reread = coalesce(
      () => this.#reread(),
      () => undefined,
    );
    this.#watcher = new FolderWatcher(clock, () => reread(undefined), watcherOptions);
  }

  static async open(configPath: string, clock: Clock, log: Logger): Promise<RedirectionSource> {
    const source = new RedirectionSource(await redirectionStatusDir(configPath), clock, log);
    await source.#reread();
    return source;
  }

  get redirected(): RedirectedPods {
    return this.#redirected;
  }

  /** Returns the way to stop listening. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#watcher.close();
  }

  async #reread(): Promise<void> {
    // The folder appears with the first node agent; until then its parents tell of it.
    const parent = dirname(this.#statusDir);
    this.#watcher.setFolders([this.#statusDir, parent, dirname(parent)]);
    try {
      this.#take(await readRedirectionStatuses(this.#statusDir));
    } catch (thrown) {
      this.#report(describeError(thrown));
    }
  }

  #take(readings: Awaited<ReturnType<typeof readRedirectionStatuses>>): void {
    const redirected = new Map<string, ReadonlySet<string>>();
    const problems: string[] = [];
    for (const reading of readings) {
      if (reading.kind === "status") {
        redirected.set(
          reading.status.node,
          this.#keepEqual(reading.status.node, reading.status.pods),
        );
        continue;
      }
      problems.push(`${reading.file}: ${reading.reason}`);
      const node = basename(reading.file, ".json");
      const last = this.#redirected.get(node);
      if (last !== undefined) redirected.set(node, last);
    }
    this.#report(problems.join("; "));
    const changed =
      redirected.size !== this.#redirected.size ||
      [...redirected].some(([node, pods]) => this.#redirected.get(node) !== pods);
    if (!changed) return;
    this.#redirected = redirected;
    for (const listener of this.#listeners) listener();
  }

  #keepEqual(node: string, pods: readonly string[]): ReadonlySet<string> {
    const last = this.#redirected.get(node);
    const same =
      last !== undefined && last.size === pods.length && pods.every((uid) => last.has(uid));
    return same ? last : new Set(pods);
  }

  #report(problems: string): void {
    if (problems !== this.#problems && problems !== "")
      this.#log.warn(`redirection status unreadable, the last one stays: ${problems}`);
    this.#problems = problems;
  }
}
