/**
 * The other threads of the data path as the main thread sees them: it tells all of them what it learns, opens and closes the
 * pods on all of them, and shows what all of them did. A thread that ends unasked takes the process with it: its connections
 * are lost, its share of every pod's listeners is gone, and a proxy that quietly serves a part of what it is asked for is
 * worse than one that is started anew within a second.
 */
import type { Clock } from "../../shared/base/clock.ts";
import type { FetchPriority } from "../../shared/identity/secret-source.ts";
import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { WorkloadCertificate } from "../../shared/identity/workload-certificate.ts";
import type { MeshUpdate } from "../../shared/model/mesh-update.ts";
import type { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import type { LogFilter } from "../../shared/telemetry/logger.ts";
import type { Metrics } from "../../shared/telemetry/metrics.ts";
import type { ZtunnelConfig } from "../config.ts";
import type { PodInfo } from "../inpod/pod-proxy.ts";
import type { DecisionRecord } from "../proxy/decisions.ts";
import type { Companion, Placements, RunningPodProxy } from "../proxy/pod-proxy.ts";
import { packCertificate } from "./certificate-parcel.ts";
import { openBoards, takeOver } from "./hand-over.ts";
import { ThreadLink } from "./link.ts";
import type { Accepted, ConnectionView, MainRequest, PodPlace, ToThread } from "./messages.ts";
import type { StartThread } from "./port.ts";
import { newBoard, newTotals } from "./session-board.ts";

/** What the threads ask for. */
export interface CrewServices {
  certificate(identity: SpiffeIdentity, priority: FetchPriority): Promise<WorkloadCertificate>;
  demand(key: string): Promise<void>;
}

export interface CrewDeps {
  readonly config: ZtunnelConfig;
  readonly clock: Clock;
  readonly startThread: StartThread;
  readonly filter: LogFilter;
  /** Takes whole lines. */
  readonly writeLog: (text: string) => void;
  readonly services: CrewServices;
}

/** An open connection and the thread that carries it. */
export interface ThreadConnection extends ConnectionView {
  readonly thread: number;
}

/** A pod's proxies on the other threads. They go where the proxy of the main thread goes. */
export interface PodMates extends Companion {
  readonly pod: number;
  /** For the proxy of the main thread. */
  readonly placements: Placements;
  /** Opens the pod's listeners on all other threads; rejects when one of them cannot, and then none is left. */
  start(): Promise<void>;
  /** The pod runs on all threads: connections may go from one to another, and those for the main one to this proxy. */
  serveWith(proxy: RunningPodProxy): void;
}

const MAIN_THREAD = 0;
/** Who asks for numbers waits no longer for a thread that is too busy to tell. */
const TELL_LIMIT_MS = 1_000;
const END_LIMIT_MS = 1_000;

export class Crew {
  readonly #deps: CrewDeps;
  readonly #links: readonly ThreadLink[];
  /** Rejects when a thread ends unasked. */
  readonly lost: Promise<never>;
  readonly #totals: SharedArrayBuffer;
  /** The main thread's own proxies, by the number of the pod. */
  readonly #own = new Map<number, RunningPodProxy>();
  #nextPod = 0;

  constructor(deps: CrewDeps, threads: number) {
    const { config, filter, startThread, writeLog } = deps;
    this.#deps = deps;
    this.#totals = newTotals(1 + threads);
    this.#links = Array.from(
      { length: threads },
      (_, index) =>
        new ThreadLink(
          {
            startThread,
            writeLog,
            serve: (request) => this.#serve(request),
            handOver: (pod, thread, accepted) => this.#handOver(pod, thread, accepted),
          },
          {
            thread: index + 1,
            config: withoutSecrets(config),
            logDirectives: filter.toString(),
            totals: this.#totals,
          },
        ),
    );
    this.lost = Promise.race(this.#links.map(({ lost }) => lost));
    // Whoever runs the process waits for it in the end; until then it is nobody's unhandled rejection.
    this.lost.catch(() => undefined);
    filter.onChange(() => this.#tell({ kind: "log-filter", directives: filter.toString() }));
  }

  /** Resolves when all threads run. */
  async up(): Promise<void> {
    await Promise.race([Promise.all(this.#links.map(({ up }) => up)), this.lost]);
  }

  apply(update: MeshUpdate): void {
    this.#tell({ kind: "update", update });
  }

  /** Every certificate goes to every thread: a connection that arrives there then need not ask for it. */
  renewed(certificate: WorkloadCertificate): void {
    this.#tell({ kind: "certificate", certificate: packCertificate(certificate) });
  }

  gone(identity: SpiffeIdentity): void {
    this.#tell({ kind: "certificate-gone", identity });
  }

  settle(): void {
    this.#tell({ kind: "settle" });
  }

  /** A pod that is about to start here. */
  newPod(info: PodInfo, namespace: NetworkNamespace | undefined): PodMates {
    const pod = this.#nextPod++;
    const memory = newBoard(1 + this.#links.length);
    const boards = openBoards(
      { pod: memory, all: this.#totals },
      MAIN_THREAD,
      this.#deps.clock,
      (thread, accepted) => this.#handOver(pod, thread, accepted),
    );
    const stop = (): void => {
      this.#own.delete(pod);
      this.#tell({ kind: "stop-pod", pod });
    };
    return {
      pod,
      placements: boards.placements,
      start: async () => {
        const started = await Promise.allSettled(
          this.#links.map((link) => {
            const place = placeOf(namespace);
            return link.ask({ kind: "start-pod", pod, info, place, board: memory });
          }),
        );
        const failed = started.find((result) => result.status === "rejected");
        if (failed === undefined) return;
        stop();
        throw failed.reason;
      },
      serveWith: (proxy) => {
        this.#own.set(pod, proxy);
        boards.open();
      },
      stop,
      drain: async (deadlineMs) => {
        await Promise.all(
          this.#links.map((link) => link.ask({ kind: "drain-pod", pod, deadlineMs })),
        );
      },
      siblings: {
        count: this.#links.length,
        serves: async (peer) => {
          const answers = this.#links.map((link) => link.ask({ kind: "serves", pod, peer }));
          return (await Promise.all(answers)).includes(true);
        },
      },
    };
  }

  /** Brings what the threads have counted into the main thread's registry. */
  async collectMetrics(registry: Metrics): Promise<void> {
    await this.#each(async (link) => {
      registry.absorb(`thread ${link.thread}`, await link.ask({ kind: "metrics" }));
    });
  }

  /** The newest `count` of each thread, in no particular order. */
  async decisions(count: number): Promise<readonly DecisionRecord[]> {
    const records: DecisionRecord[] = [];
    await this.#each(async (link) => {
      records.push(...(await link.ask({ kind: "decisions", count })));
    });
    return records;
  }

  /** By the number of the pod. */
  async connections(): Promise<ReadonlyMap<number, readonly ThreadConnection[]>> {
    const found = new Map<number, ThreadConnection[]>();
    await this.#each(async (link) => {
      const { thread } = link;
      for (const { pod, connections } of await link.ask({ kind: "connections" })) {
        const all = found.get(pod) ?? [];
        found.set(pod, all);
        all.push(...connections.map((connection) => ({ thread, ...connection })));
      }
    });
    return found;
  }

  /** Ends all threads; their last lines are written when this resolves. */
  async close(): Promise<void> {
    const over = new AbortController();
    await Promise.race([
      Promise.all(this.#links.map((link) => link.end())),
      this.#deps.clock.sleep(END_LIMIT_MS, over.signal).catch(() => undefined),
    ]);
    over.abort();
    for (const link of this.#links) link.terminate();
  }

  #handOver(pod: number, thread: number, accepted: Accepted): void {
    const link = this.#links[thread - 1];
    if (link === undefined) takeOver(this.#own.get(pod), accepted, this.#totals, MAIN_THREAD);
    else link.post({ kind: "take", pod, accepted });
  }

  #tell(message: ToThread): void {
    for (const link of this.#links) link.post(message);
  }

  /** Asks all threads something; one that does not answer in time is left out. */
  async #each(ask: (link: ThreadLink) => Promise<void>): Promise<void> {
    const over = new AbortController();
    const limit = this.#deps.clock.sleep(TELL_LIMIT_MS, over.signal).catch(() => undefined);
    await Promise.all(this.#links.map((link) => Promise.race([ask(link), limit])));
    over.abort();
  }

  async #serve(request: MainRequest): Promise<unknown> {
    const { services } = this.#deps;
    if (request.kind === "demand") return services.demand(request.key);
    return packCertificate(await services.certificate(request.identity, request.priority));
  }
}

/** Each thread gets a descriptor of its own. */
function placeOf(namespace: NetworkNamespace | undefined): PodPlace {
  if (namespace === undefined) return { kind: "host" };
  return { kind: "namespace", fd: namespace.duplicate().fd, label: namespace.label };
}

/** A thread needs no way to the control plane. */
function withoutSecrets(config: ZtunnelConfig): ZtunnelConfig {
  return { ...config, xds: undefined, ca: undefined, auth: { kind: "none" } };
}
