/** Tells the control plane which pods' redirection is in place: the node's status file, written whole. */
import type { RedirectionStatus } from "../../shared/status/redirection.ts";
import { sharedWrite } from "../shared-write.ts";

export class StatusBook {
  readonly #uids: Set<string>;
  /** Resolves when the list as it is now is on disk. */
  readonly flush: () => Promise<void>;

  constructor(
    node: string,
    write: (status: RedirectionStatus) => Promise<void>,
    uids: Iterable<string>,
  ) {
    this.#uids = new Set(uids);
    this.flush = sharedWrite(() => write({ node, pods: [...this.#uids].sort() }));
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
}
