/**
 * The node agent: watches the objects, decides which pods of its node are in the mesh, and keeps each of them on the rung of
 * the ladder where it belongs. When it stops it leaves the pods captured: without an agent nothing can be announced, but
 * what runs goes on, and the next agent takes over what it finds.
 */
import type { Clock } from "../shared/base/clock.ts";
import { describeError } from "../shared/base/errors.ts";
import type { MeshObject } from "../shared/objects/kinds.ts";
import type { ObjectChange, ObjectSource } from "../shared/objects/source.ts";
import type { RedirectionStatus } from "../shared/status/redirection.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import type { Rung } from "./enroll/ladder.ts";
import { type PodVerdict, podsOfNode } from "./enroll/pods.ts";
import { NamespaceClaims } from "./pods/claims.ts";
import { findLeftovers } from "./pods/leftovers.ts";
import { type KeeperDeps, type Leftover, PodKeeper } from "./pods/pod-keeper.ts";
import { StatusBook } from "./pods/status-book.ts";
import type { Redirector } from "./redirect/apply.ts";
import type { HostProbes } from "./redirect/host-probes.ts";
import { ZdsServer } from "./zds/server.ts";

export interface NodeAgentDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly source: ObjectSource;
  readonly redirector: Redirector;
  readonly probes: HostProbes;
  readonly writeStatus: (status: RedirectionStatus) => Promise<void>;
}

export interface NodeAgentOptions {
  readonly node: string;
  readonly zdsPath: string;
  readonly captureDns: boolean;
  readonly releaseGraceMs: number;
  readonly releaseDrainMs: number;
}

/** One line of the agent's view, for people. */
export interface PodReport {
  readonly uid: string;
  readonly verdict: "enrolled" | "out" | "impossible";
  readonly rung: Rung;
  /** Why it is out or impossible, or why the last step failed. */
  readonly reason?: string;
}

/** How often the paths of the namespaces are looked at: a replaced sandbox does not change the objects. */
const NAMESPACE_CHECK_MS = 5000;

export class NodeAgent {
  readonly #deps: NodeAgentDeps;
  readonly #options: NodeAgentOptions;
  readonly #keepers = new Map<string, PodKeeper>();
  readonly #keeperDeps: KeeperDeps;
  readonly #zds: ZdsServer;
  readonly #undo: (() => void)[] = [];
  #verdicts: ReadonlyMap<string, PodVerdict>;

  /**
   * Takes stock of what an earlier agent left, says so in the status before anything changes, then starts to serve. Rejects
   * when the socket or the status cannot be had.
   */
  static async start(deps: NodeAgentDeps, options: NodeAgentOptions): Promise<NodeAgent> {
    const verdicts = podsOfNode(deps.source.snapshot, options.node, options);
    const claims = new NamespaceClaims();
    const leftovers = await findLeftovers(deps, claims, deps.source.snapshot, options.node);
    const status = new StatusBook(options.node, deps.writeStatus, leftovers.keys());
    await status.flush();
    await restoreProbes(deps.probes, leftovers, verdicts);
    const agent = new NodeAgent(deps, options, { claims, status, leftovers, verdicts });
    agent.#reconcile(verdicts);
    agent.#watch();
    return agent;
  }

  private constructor(
    deps: NodeAgentDeps,
    options: NodeAgentOptions,
    found: {
      readonly claims: NamespaceClaims;
      readonly status: StatusBook;
      readonly leftovers: ReadonlyMap<string, Leftover>;
      readonly verdicts: ReadonlyMap<string, PodVerdict>;
    },
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#verdicts = found.verdicts;
    this.#zds = ZdsServer.start(
      {
        clock: deps.clock,
        log: deps.log.scope("zds"),
        uids: () => [...this.#keepers.keys()],
        pod: (uid) => this.#keepers.get(uid)?.announcement,
        onSynced: () => this.#kickAll(),
      },
      options.zdsPath,
    );
    this.#keeperDeps = {
      clock: deps.clock,
      log: deps.log,
      random: deps.random,
      redirector: deps.redirector,
      probes: deps.probes,
      zds: this.#zds,
      status: found.status,
      claims: found.claims,
      releaseGraceMs: options.releaseGraceMs,
      releaseDrainMs: options.releaseDrainMs,
      onGone: (uid) => this.#keepers.delete(uid),
    };
    for (const [uid, leftover] of found.leftovers)
      this.#keepers.set(uid, new PodKeeper(this.#keeperDeps, uid, leftover));
  }

  get ztunnelCount(): number {
    return this.#zds.connectionCount;
  }

  report(): readonly PodReport[] {
    const uids = new Set([...this.#verdicts.keys(), ...this.#keepers.keys()]);
    return [...uids].sort().map((uid) => {
      const verdict = this.#verdicts.get(uid);
      const keeper = this.#keepers.get(uid);
      const reason =
        keeper?.failure ?? (verdict?.kind === "enrolled" ? undefined : verdict?.reason);
      return {
        uid,
        verdict: verdict?.kind ?? "out",
        rung: keeper?.rung ?? "outside",
        ...(reason !== undefined && { reason }),
      };
    });
  }

  /** Leaves rules and status in place. Idempotent. */
  stop(): void {
    for (const undo of this.#undo.splice(0)) undo();
    for (const keeper of this.#keepers.values()) keeper.stop();
    this.#zds.close();
  }

  #watch(): void {
    this.#undo.push(
      this.#deps.source.onChange((snapshot, change) => {
        if (!concernsPods(change)) return;
        try {
          this.#reconcile(podsOfNode(snapshot, this.#options.node, this.#options));
        } catch (thrown) {
          this.#deps.log.error("objects not taken over", { error: describeError(thrown) });
        }
      }),
    );
    const check = this.#deps.clock.every(NAMESPACE_CHECK_MS, () => this.#kickAll());
    this.#undo.push(() => check.cancel());
  }

  #kickAll(): void {
    for (const keeper of this.#keepers.values()) keeper.kick();
  }

  #reconcile(verdicts: ReadonlyMap<string, PodVerdict>): void {
    for (const [uid, verdict] of verdicts) {
      if (verdict.kind === "impossible") this.#complain(uid, verdict.reason);
      if (verdict.kind === "enrolled") this.#keeperOf(uid).want(verdict.pod);
    }
    this.#verdicts = verdicts;
    for (const [uid, keeper] of [...this.#keepers]) {
      if (verdicts.get(uid)?.kind !== "enrolled") keeper.want(undefined);
    }
  }

  #complain(uid: string, reason: string): void {
    const before = this.#verdicts.get(uid);
    if (before?.kind === "impossible" && before.reason === reason) return;
    this.#deps.log.warn("pod cannot be enrolled", { uid, reason });
  }

  #keeperOf(uid: string): PodKeeper {
    const known = this.#keepers.get(uid);
    if (known !== undefined) return known;
    const keeper = new PodKeeper(this.#keeperDeps, uid);
    this.#keepers.set(uid, keeper);
    return keeper;
  }
}

/** In a large mesh most changes are none of a node agent's business. */
function concernsPods({ upserted, removed }: ObjectChange): boolean {
  const concerns = ({ kind }: MeshObject): boolean => kind === "Pod" || kind === "Namespace";
  return upserted.some(concerns) || removed.some(concerns);
}

/** All at once: the first rules written must not leave out a pod whose turn comes later. */
async function restoreProbes(
  probes: HostProbes,
  leftovers: ReadonlyMap<string, Leftover>,
  verdicts: ReadonlyMap<string, PodVerdict>,
): Promise<void> {
  await Promise.all(
    [...leftovers.keys()].map(async (uid) => {
      const verdict = verdicts.get(uid);
      if (verdict?.kind === "enrolled") await probes.add(uid, verdict.pod.ips);
    }),
  );
}
