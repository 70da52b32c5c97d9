/**
 * Before the first connection of a pod is served, the data path carries some of its own: through the real proxies, tunnels and
 * policies, over the loopback, between two pods that exist nowhere else. V8 runs new code slowly and compiles what turns out
 * to be hot while it runs, on threads that take the processor from the very requests that made it hot; for seconds after a
 * start one request in a hundred waited several milliseconds. Nothing of this is counted, logged or reachable from outside.
 */
import type { Clock } from "../../shared/base/clock.ts";
import { MeshStore } from "../../shared/model/store.ts";
import { compileSooner } from "../../shared/os/compile-sooner.ts";
import type { PodNetwork } from "../../shared/os/network.ts";
import { createLogger, LogFilter } from "../../shared/telemetry/logger.ts";
import { Metrics } from "../../shared/telemetry/metrics.ts";
import type { ZtunnelConfig } from "../config.ts";
import { createNodeScope } from "../node-scope.ts";
import type { NodeScope } from "../proxy/scope.ts";
import { createTrafficMetrics } from "../telemetry/metrics.ts";
import { TrafficReporter } from "../telemetry/report.ts";
import { rehearsalMesh, rehearsalSecrets } from "./mesh.ts";
import { Stage } from "./stage.ts";

/** As many at once as meet in one turn of a busy proxy. */
const AT_ONCE = 8;
/** What the longest act may take when nothing moves at all. */
const GRACE_MS = 1_000;

export interface RehearsalDeps {
  readonly config: ZtunnelConfig;
  readonly clock: Clock;
  readonly random: () => number;
  /** Of the process itself. */
  readonly network: PodNetwork;
  /** No new request begins after that. */
  readonly budgetMs: number;
}

export interface RehearsalResult {
  readonly exchanges: number;
  readonly connections: number;
}

function nodeScope({ config, clock, random }: RehearsalDeps): NodeScope {
  const logger = createLogger(
    { clock, filter: new LogFilter("info"), format: config.logFormat, write: () => undefined },
    "rehearsal",
  );
  const metrics = createTrafficMetrics(new Metrics());
  const store = new MeshStore({ localNode: config.localNode });
  store.apply(rehearsalMesh(config));
  return createNodeScope({
    config,
    store,
    secrets: rehearsalSecrets(clock),
    reporter: new TrafficReporter(metrics, logger.scope("access"), clock),
    demand: undefined,
    logger,
    clock,
    random,
  });
}

/** So many connections with one question each, and so many questions over few connections. */
interface Act {
  readonly connections: number;
  readonly exchanges: number;
  /** Also connections of the kinds that other parts of the program open, and bulk. */
  readonly allSorts: boolean;
}

/**
 * The short ones come first because V8 takes a field for a constant until it changes, and throws away what it compiled on that
 * belief: sessions and proxies must have come to their end before the code that is to stay is compiled.
 */
const acts: readonly Act[] = [
  { connections: 8, exchanges: 20, allSorts: true },
  { connections: 8, exchanges: 20, allSorts: true },
  { connections: 100, exchanges: 2_000, allSorts: false },
];
const PLAIN_CONNECTIONS = 12;

/** Rejects when the loopback, or a part of the data path, does not work. */
export async function rehearse(deps: RehearsalDeps): Promise<RehearsalResult> {
  const { clock, network, budgetMs } = deps;
  const untilMs = clock.monotonicMs() + budgetMs;
  const inTime = (): boolean => clock.monotonicMs() < untilMs;
  const node = nodeScope(deps);
  compileSooner();
  let [exchanges, connections] = [0, 0];
  for (const act of acts) {
    if (!inTime()) break;
    const stage = new Stage(network, node, inTime);
    await within(clock, budgetMs + GRACE_MS, perform(stage, act), stage);
    exchanges += stage.exchanges;
    connections += stage.connections;
  }
  return { exchanges, connections };
}

async function perform(stage: Stage, act: Act): Promise<void> {
  await stage.open();
  await several(async () => {
    while (stage.inTime() && stage.connections < act.connections) await stage.askOnce();
  });
  if (act.allSorts) {
    for (let count = 0; count < PLAIN_CONNECTIONS; count++) await stage.askPlainly();
    await stage.haul();
  }
  await several(() => stage.ask(() => stage.exchanges < act.exchanges));
}

function several(work: () => Promise<void>): Promise<unknown> {
  return Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Whatever becomes of the act, its stage is cleared when this settles. */
async function within(
  clock: Clock,
  limitMs: number,
  act: Promise<void>,
  stage: Stage,
): Promise<void> {
  const over = new AbortController();
  const late = clock.sleep(limitMs, over.signal).then(() => {
    throw new Error(`nothing moves after ${stage.connections} connections`);
  });
  try {
    await Promise.race([act, late]);
  } finally {
    over.abort();
    stage.close();
    // Either may still fail; the race was told already.
    void Promise.allSettled([act, late]);
  }
}
