/**
 * Takes one pod up and down the ladder (enroll/ladder.ts), one move at a time, and tries again what failed. Nothing here
 * concerns any other pod.
 */
import { type BackoffOptions, jitteredMs, nextBackoffMs } from "../../shared/base/backoff.ts";
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { describeError, MeshError } from "../../shared/base/errors.ts";
import { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { WorkloadInfo } from "../../shared/zds/messages.ts";
import { isAtLeast, type Move, nextMove, type Rung } from "../enroll/ladder.ts";
import type { EnrolledPod } from "../enroll/pods.ts";
import type { Redirector } from "../redirect/apply.ts";
import type { HostProbes } from "../redirect/host-probes.ts";
import type { RedirectionOptions } from "../redirect/rules.ts";
import type { AnnouncedPod, ZdsServer } from "../zds/server.ts";
import type { NamespaceClaims } from "./claims.ts";
import type { StatusBook } from "./status-book.ts";

export interface KeeperDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly redirector: Redirector;
  readonly probes: HostProbes;
  readonly zds: Pick<ZdsServer, "add" | "remove" | "connectionCount">;
  readonly status: StatusBook;
  readonly claims: NamespaceClaims;
  /** Time for peers to learn that a pod leaves, before its tunnel goes. */
  readonly releaseGraceMs: number;
  /** Time for connections in the tunnel to end by themselves, before they are cut. */
  readonly releaseDrainMs: number;
  /** The keeper has nothing left to do for a pod that is outside. */
  readonly onGone: (uid: string) => void;
}

/** What an earlier agent left: the pod is captured. */
export interface Leftover {
  readonly info: WorkloadInfo;
  readonly namespace: NetworkNamespace;
}

const RETRY: BackoffOptions = { initialMs: 500, maxMs: 15_000, jitter: 0.1 };

const NO_ZTUNNEL = "waiting for a ztunnel to connect";

export class PodKeeper {
  readonly uid: string;
  readonly #deps: KeeperDeps;
  #rung: Rung = "outside";
  #wanted: EnrolledPod | undefined;
  #info: WorkloadInfo | undefined;
  #namespace: NetworkNamespace | undefined;
  #applied: RedirectionOptions | undefined;
  #failure: string | undefined;
  #retryDelayMs: number | undefined;
  #retry: Timer | undefined;
  #pause: AbortController | undefined;
  #loop: "idle" | "running" | "asked-again" | "stopped" = "idle";

  constructor(deps: KeeperDeps, uid: string, leftover?: Leftover) {
    this.#deps = deps;
    this.uid = uid;
    if (leftover === undefined) return;
    this.#rung = "published";
    this.#info = leftover.info;
    this.#namespace = leftover.namespace;
  }

  get rung(): Rung {
    return this.#rung;
  }

  /** Why the last move did not succeed; undefined when it did. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** What a ztunnel that connects now must hear of this pod; undefined when nothing. */
  get announcement(): AnnouncedPod | undefined {
    const { uid } = this;
    if (this.#wanted === undefined && !isAtLeast(this.#rung, "announced")) return undefined;
    const info = this.#wanted?.info ?? this.#info;
    return info && { uid, info, namespace: this.#namespace };
  }

  /** Undefined: the pod is to leave the mesh. */
  want(pod: EnrolledPod | undefined): void {
    const turns = (pod === undefined) !== (this.#wanted === undefined);
    this.#wanted = pod;
    if (turns) this.#pause?.abort();
    this.kick();
  }

  /** Goes on now, without waiting for the next retry. */
  kick(): void {
    this.#retry?.cancel();
    if (this.#loop === "idle") void this.#run();
    else if (this.#loop === "running") this.#loop = "asked-again";
  }

  /** Leaves the pod as it is, for the next agent. */
  stop(): void {
    this.#loop = "stopped";
    this.#retry?.cancel();
    this.#pause?.abort();
  }

  async #run(): Promise<void> {
    this.#loop = "running";
    do {
      if (this.#isAskedAgain()) this.#loop = "running";
      await this.#converge();
    } while (this.#isAskedAgain());
    if (this.#loop === "running") this.#loop = "idle";
    if (this.#rung === "outside" && this.#wanted === undefined && this.#loop === "idle")
      this.#deps.onGone(this.uid);
  }

  #isAskedAgain(): boolean {
    return this.#loop === "asked-again";
  }

  async #converge(): Promise<void> {
    try {
      await this.#noticeChanges();
      for (;;) {
        const move = nextMove(this.#rung, this.#wanted !== undefined);
        if (move.kind === "settled" || this.#loop === "stopped") break;
        if (this.#mustWait(move)) {
          // No failure of this pod, and no use in trying: whoever connects makes us go on.
          this.#failure = NO_ZTUNNEL;
          return;
        }
        await this.#make(move);
      }
      this.#failure = undefined;
      this.#retryDelayMs = undefined;
    } catch (thrown) {
      await this.#fail(describeError(thrown));
    }
  }

  #mustWait(move: Move): boolean {
    const { zds } = this.#deps;
    return move.kind === "up" && move.to === "announced" && zds.connectionCount === 0;
  }

  async #fail(reason: string): Promise<void> {
    if (this.#loop === "stopped") return;
    const level = reason === this.#failure ? "debug" : "warn";
    this.#deps.log.log(level, "pod not in its wanted state, trying again", {
      uid: this.uid,
      at: this.#rung,
      wanted: this.#wanted === undefined ? "outside" : "published",
      error: reason,
    });
    this.#failure = reason;
    this.#retryDelayMs = nextBackoffMs(RETRY, this.#retryDelayMs);
    const delayMs = jitteredMs(RETRY, this.#retryDelayMs, this.#deps.random);
    this.#retry = this.#deps.clock.after(delayMs, () => this.kick());
    // An earlier agent had it listed; nothing of that is left.
    if (this.#rung === "outside" && this.#deps.status.has(this.uid)) await this.#unlist();
  }

  async #unlist(): Promise<void> {
    try {
      await this.#deps.status.remove(this.uid);
    } catch (thrown) {
      this.#deps.log.warn("status not written", { error: describeError(thrown) });
    }
  }

  /** The namespace may have been replaced or vanished, and the annotations may have changed. */
  async #noticeChanges(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#namespace === undefined) return;
    const found = this.#look(wanted.netnsPath);
    if (found === undefined || !found.same) {
      this.#deps.log.info("network namespace replaced", { uid: this.uid, path: wanted.netnsPath });
      await this.#abandonNamespace(found === undefined);
      return;
    }
    if (isAtLeast(this.#rung, "announced") && !isSame(this.#info, wanted.info)) {
      // Another pod under the same uid: the ztunnel would take its announcement for a repetition.
      await this.#deps.zds.remove(this.uid);
      this.#rung = "opened";
      this.#info = wanted.info;
    } else if (isAtLeast(this.#rung, "redirected") && !isSame(this.#applied, wanted.redirection)) {
      this.#rung = "announced";
    }
  }

  #look(path: string): { readonly same: boolean } | undefined {
    try {
      const found = NetworkNamespace.open(path);
      const same = this.#namespace?.sameAs(found) ?? false;
      found.close();
      return { same };
    } catch {
      // Gone; opening it again will say so.
      return undefined;
    }
  }

  async #abandonNamespace(vanished: boolean): Promise<void> {
    const { status, redirector, probes, zds, claims } = this.#deps;
    const namespace = this.#namespace;
    const served = isAtLeast(this.#rung, "announced");
    this.#rung = "outside";
    this.#namespace = undefined;
    this.#applied = undefined;
    if (status.has(this.uid)) await status.remove(this.uid);
    await probes.remove(this.uid);
    // A new namespace replaces the old one at the ztunnel when it is announced.
    if (served && vanished) await zds.remove(this.uid);
    if (namespace === undefined) return;
    try {
      await redirector.remove(namespace);
    } catch (thrown) {
      // Nobody is in there any more.
      this.#deps.log.debug("rules not removed", { uid: this.uid, error: describeError(thrown) });
    }
    claims.release(this.uid, namespace);
  }

  async #make(move: Exclude<Move, { kind: "settled" }>): Promise<void> {
    if (move.kind === "up") await this.#climb(move.to);
    else await this.#descend(move.from);
  }

  async #climb(to: Exclude<Rung, "outside">): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const { claims, zds, redirector, probes, status, log } = this.#deps;
    switch (to) {
      case "opened":
        this.#namespace = claims.open(this.uid, wanted.netnsPath, wanted.ips);
        this.#info = wanted.info;
        break;
      case "announced":
        await zds.add({ uid: this.uid, info: wanted.info, namespace: this.#open() });
        break;
      case "redirected":
        await probes.add(this.uid, wanted.ips);
        await redirector.apply(this.#open(), wanted.redirection);
        this.#applied = wanted.redirection;
        break;
      case "published":
        await status.add(this.uid);
        log.info("pod enrolled", { uid: this.uid, pod: podName(wanted.info) });
        break;
    }
    this.#rung = to;
  }

  async #descend(from: Exclude<Rung, "outside">): Promise<void> {
    const { claims, zds, redirector, probes, status, log } = this.#deps;
    switch (from) {
      case "published":
        await status.remove(this.uid);
        this.#rung = "redirected";
        await this.#wait(this.#deps.releaseGraceMs);
        break;
      case "redirected":
        await redirector.release(this.#open());
        await probes.remove(this.uid);
        this.#applied = undefined;
        this.#rung = "announced";
        await this.#wait(this.#deps.releaseDrainMs);
        break;
      case "announced":
        // Before the message goes out: a ztunnel that connects meanwhile must not hear of the pod.
        this.#rung = "opened";
        await zds.remove(this.uid);
        break;
      case "opened": {
        const namespace = this.#open();
        await redirector.remove(namespace);
        this.#rung = "outside";
        this.#namespace = undefined;
        claims.release(this.uid, namespace);
        log.info("pod released", { uid: this.uid, pod: this.#info && podName(this.#info) });
        break;
      }
    }
  }

  #open(): NetworkNamespace {
    if (this.#namespace === undefined)
      throw new MeshError("system-failed", "network namespace is not open");
    return this.#namespace;
  }

  /** Ends early when the wish changes or the agent stops: then the rest of the time has no meaning. */
  async #wait(delayMs: number): Promise<void> {
    if (this.#loop === "stopped") return;
    const pause = new AbortController();
    this.#pause = pause;
    try {
      await this.#deps.clock.sleep(delayMs, pause.signal);
    } catch {
      // Cut short.
    } finally {
      this.#pause = undefined;
    }
  }
}

function podName(info: WorkloadInfo): string {
  return `${info.namespace}/${info.name}`;
}

function isSame(one: object | undefined, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
