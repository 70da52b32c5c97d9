/**
 * The node agent's end of ZDS: accepts ztunnels, tells each of them all pods, and keeps them up to date. During an upgrade
 * two are connected: new pods go to the newest, removals to all.
 */
import type { Clock } from "../../shared/base/clock.ts";
import { describeError, MeshError } from "../../shared/base/errors.ts";
import type { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import { SeqpacketListener, type SeqpacketSocket } from "../../shared/os/seqpacket.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { WorkloadInfo } from "../../shared/zds/messages.ts";
import { ZdsConnection } from "./connection.ts";

export interface AnnouncedPod {
  readonly uid: string;
  readonly info: WorkloadInfo;
  /** Undefined: known, but its namespace is not at hand; a ztunnel that serves it shall go on. */
  readonly namespace: NetworkNamespace | undefined;
}

export interface ZdsServerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Uids of the pods that a newly connected ztunnel is to serve, as of now. */
  readonly uids: () => readonly string[];
  /** Undefined when the pod is not to be served any more. */
  readonly pod: (uid: string) => AnnouncedPod | undefined;
  /** A ztunnel has been told everything. */
  readonly onSynced: () => void;
}

/** At most five connections a second: a ztunnel that fails at once must not keep us busy. */
const ACCEPT_PAUSE_MS = 200;

export class ZdsServer {
  readonly #deps: ZdsServerDeps;
  readonly #listener: SeqpacketListener;
  /** The newest last. */
  readonly #connections: ZdsConnection[] = [];
  /** Connected, but not greeted yet. */
  readonly #strangers = new Set<SeqpacketSocket>();
  readonly #stopped = new AbortController();

  private constructor(deps: ZdsServerDeps, listener: SeqpacketListener) {
    this.#deps = deps;
    this.#listener = listener;
  }

  /** Throws MeshError `system-failed` when the path cannot be listened on. */
  static start(deps: ZdsServerDeps, path: string): ZdsServer {
    const server = new ZdsServer(deps, SeqpacketListener.listen(path));
    void server.#acceptAll();
    return server;
  }

  get connectionCount(): number {
    return this.#connections.length;
  }

  /** Resolves when the newest ztunnel serves the pod. Rejects with MeshError when there is none or it cannot. */
  async add(pod: AnnouncedPod): Promise<void> {
    const connection = this.#connections.at(-1);
    if (connection === undefined) throw new MeshError("system-failed", "no ztunnel is connected");
    await this.#announce(connection, pod);
  }

  /** Resolves when every connected ztunnel has let go of the pod. Never rejects: one that breaks meanwhile learns it anew. */
  async remove(uid: string): Promise<void> {
    await Promise.all(
      this.#connections.map(async (connection) => {
        try {
          const { error } = await connection.request({ kind: "delete", uid });
          if (error !== undefined) throw new Error(error);
        } catch (thrown) {
          this.#deps.log.warn("pod not removed from a ztunnel", {
            uid,
            error: describeError(thrown),
          });
        }
      }),
    );
  }

  /** Idempotent. */
  close(): void {
    this.#stopped.abort(new Error("stopping"));
    this.#listener.close();
    for (const socket of this.#strangers) socket.close();
    for (const connection of [...this.#connections]) connection.close("the node agent stops");
  }

  async #acceptAll(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        const socket = await this.#listener.accept();
        void this.#serve(socket);
      } catch (thrown) {
        if (!this.#stopped.signal.aborted)
          this.#deps.log.warn("ztunnel not accepted", { error: describeError(thrown) });
      }
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    try {
      await this.#deps.clock.sleep(ACCEPT_PAUSE_MS, this.#stopped.signal);
    } catch {
      // Stopping: the loop sees it.
    }
  }

  async #serve(socket: SeqpacketSocket): Promise<void> {
    let connection: ZdsConnection;
    this.#strangers.add(socket);
    try {
      connection = await ZdsConnection.greet(socket, this.#deps.clock);
    } catch (thrown) {
      this.#deps.log.warn("ztunnel did not greet", { error: describeError(thrown) });
      return;
    } finally {
      this.#strangers.delete(socket);
    }
    this.#connections.push(connection);
    this.#deps.log.info("ztunnel connected", { connections: this.#connections.length });
    void this.#sync(connection);
    const reason = await connection.closed;
    const wasNewest = this.#connections.at(-1) === connection;
    this.#connections.splice(this.#connections.indexOf(connection), 1);
    this.#deps.log.info("ztunnel disconnected", { reason, connections: this.#connections.length });
    const next = this.#connections.at(-1);
    // Pods that came after it were told to the newest only; who takes over must hear of them.
    if (wasNewest && next !== undefined) await this.#tellAll(next, "takeover");
  }

  async #sync(connection: ZdsConnection): Promise<void> {
    await this.#tellAll(connection, "snapshot");
    try {
      const { error } = await connection.request({ kind: "snapshot-sent" });
      if (error !== undefined) this.#deps.log.warn("snapshot refused by the ztunnel", { error });
      else this.#deps.onSynced();
    } catch (thrown) {
      connection.close(describeError(thrown));
    }
  }

  /** A pod that fails is only logged: the ztunnel itself tries it again, and so does whoever enrolls it. */
  async #tellAll(connection: ZdsConnection, occasion: "snapshot" | "takeover"): Promise<void> {
    for (const uid of this.#deps.uids()) {
      // Looked up at its turn: the pod may have gone while the ones before it were told.
      const pod = this.#deps.pod(uid);
      if (pod === undefined) continue;
      try {
        if (pod.namespace !== undefined) await this.#announce(connection, pod);
        // Outside a snapshot the protocol has no such message, and no need of it.
        else if (occasion === "snapshot") await connection.request({ kind: "keep", uid });
      } catch (thrown) {
        this.#deps.log.warn("pod not taken by the ztunnel", { uid, error: describeError(thrown) });
      }
    }
  }

  async #announce(connection: ZdsConnection, pod: AnnouncedPod): Promise<void> {
    const { uid, info, namespace } = pod;
    if (namespace === undefined) throw new MeshError("system-failed", "namespace is not open");
    // Our own handle for the time in the queue: the pod's may be closed before its turn.
    const handle = namespace.duplicate();
    try {
      const { error } = await connection.request({ kind: "add", uid, info }, [handle.fd]);
      if (error !== undefined) throw new MeshError("system-failed", `ztunnel: ${error}`);
    } finally {
      handle.close();
    }
  }
}
