/**
 * Tells the control plane which pods' redirection is in place: the node's status file, written whole and one at a time. A
 * change is settled when a file that contains it is on disk.
 */
import type { RedirectionStatus } from "../../shared/status/redirection.ts";

export class StatusBook {
  readonly #node: string;
  readonly #write: (status: RedirectionStatus) => Promise<void>;
  readonly #uids: Set<string>;
  #next: Promise<void> | undefined;
  #current: Promise<void> = Promise.resolve();

  constructor(
    node: string,
    write: (status: RedirectionStatus) => Promise<void>,
    uids: Iterable<string>,
  ) {
    this.#node = node;
    this.#write = write;
    this.#uids = new Set(uids);
  }

  has(uid: string): boolean {
    return this.#uids.has(uid);
  }

  add(uid: string): Promise<void> {
    this.#uids.add(uid);
    return this.flush();
  }

  remove(uid: string): Promise<void> {
    this.#uids.delete(uid);
    return this.flush();
  }

  /** All who ask while a write runs share the next one. */
  flush(): Promise<void> {
    this.#next ??= this.#current.then(async () => {
      this.#next = undefined;
      const writing = this.#write({ node: this.#node, pods: [...this.#uids].sort() });
      // Only its end matters to the one after it.
      this.#current = writing.catch(() => undefined);
      await writing;
    });
    return this.#next;
  }
}
