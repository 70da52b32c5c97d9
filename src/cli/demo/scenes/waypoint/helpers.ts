/** What scenes of the second act do again and again. */
import { systemClock } from "../../../../shared/base/clock.ts";
import { describeError } from "../../../../shared/base/errors.ts";
import type { KubernetesObject } from "../../../world/objects.ts";
import type { BurstResult, Reply, RequestSpec } from "../../apps/protocol.ts";
import { SHOP_NAMESPACE, serviceIp, WAYPOINT } from "../../shop.ts";
import { eventually, expect, type Stage } from "../../stage.ts";
import type { WaypointEntry } from "../../waypoint-log.ts";
import type { Caller } from "../load.ts";
import { ROUTE_MARK } from "./objects.ts";

/** How long a change of the files may take to reach the requests. */
export const PUSH_DEADLINE_MS = 8_000;
const LOG_DEADLINE_MS = 3_000;
const FILE = "requests";

export const WAYPOINT_IDENTITY = `spiffe://cluster.local/ns/${SHOP_NAMESPACE}/sa/${WAYPOINT}`;
export const catalog = { host: serviceIp("catalog"), port: 80 };
export const orders = { host: serviceIp("orders"), port: 80 };

export function principal(serviceAccount: string): string {
  return `cluster.local/ns/${SHOP_NAMESPACE}/sa/${serviceAccount}`;
}

/** One request to the catalog, from web unless told otherwise. */
export function ask(stage: Stage, spec: Partial<RequestSpec> = {}, from = "web"): Promise<Reply> {
  return stage.app(from).call("request", { ...catalog, ...spec });
}

/** The same, with a failure to get any answer as status 0. */
export async function attempt(
  stage: Stage,
  spec: Partial<RequestSpec> = {},
  from = "web",
): Promise<Pick<Reply, "status" | "headers" | "body" | "greeting">> {
  try {
    return await ask(stage, { timeoutMs: 2_000, ...spec }, from);
  } catch (thrown) {
    return { status: 0, headers: {}, body: describeError(thrown), greeting: undefined };
  }
}

export function burst(
  stage: Stage,
  count: number,
  spec: Partial<RequestSpec> = {},
): Promise<BurstResult> {
  return stage.app("web").call("burst", { ...catalog, ...spec, count, concurrency: 8 });
}

/** Every request was answered, with this status. */
export function expectAll(result: BurstResult, status = 200): void {
  const others = Object.keys(result.byStatus).filter((found) => found !== String(status));
  expect(
    others.length === 0,
    `of the answers ${JSON.stringify(result.byStatus)} had these states; ${result.failures[0] ?? ""}`,
  );
}

/** The objects stand as long as `act` runs. */
export async function withObjects<T>(
  stage: Stage,
  objects: readonly KubernetesObject[],
  act: () => Promise<T>,
): Promise<T> {
  writeObjects(stage, objects);
  try {
    return await act();
  } finally {
    stage.folder.remove(FILE);
  }
}

/** In place of those that `withObjects` wrote. */
export function writeObjects(stage: Stage, objects: readonly KubernetesObject[]): void {
  stage.folder.write(FILE, objects);
}

/** Until an answer satisfies; resolves to it. */
export async function untilReply(
  stage: Stage,
  otherwise: string,
  accepts: (reply: Awaited<ReturnType<typeof attempt>>) => boolean,
  spec: Partial<RequestSpec> = {},
  from = "web",
): Promise<Awaited<ReturnType<typeof attempt>>> {
  let last: unknown;
  return eventually(
    () => `${otherwise}; the last answer: ${JSON.stringify(last)}`,
    PUSH_DEADLINE_MS,
    async () => {
      const reply = await attempt(stage, spec, from);
      last = { status: reply.status, body: reply.body.slice(0, 120) };
      return accepts(reply) ? reply : undefined;
    },
  );
}

/** Until the route of this mark is the one that decides; resolves to the milliseconds it took. */
export async function untilRoute(
  stage: Stage,
  mark: string,
  spec: Partial<RequestSpec> = {},
): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  await untilReply(
    stage,
    `the route "${mark}" does not come into force`,
    ({ headers }) => headers[ROUTE_MARK] === mark,
    spec,
  );
  return Math.round(systemClock.monotonicMs() - startedMs);
}

export function untilLogged(
  stage: Stage,
  mark: number,
  what: string,
  accepts: (entry: WaypointEntry) => boolean,
): Promise<WaypointEntry> {
  return eventually(
    () =>
      `the waypoint logged no ${what}, but ${JSON.stringify(stage.waypoints.record.since(mark).slice(-3))}`,
    LOG_DEADLINE_MS,
    () => stage.waypoints.record.since(mark).find(accepts),
  );
}

/** To services only, over new connections and kept ones. */
export const serviceCallers: readonly Caller[] = [
  { app: "web", targets: [catalog, orders], perSecond: 20 },
  { app: "web", targets: [catalog], keepAlive: true, perSecond: 20 },
  { app: "orders", targets: [catalog], keepAlive: true, perSecond: 20 },
  { app: "catalog-v2", targets: [orders], perSecond: 10 },
];

/** The service's own pods as told; all of them behave again afterwards. */
export async function withBehavior<T>(
  stage: Stage,
  pods: readonly string[],
  behavior: { readonly status?: number; readonly delayMs?: number },
  act: () => Promise<T>,
): Promise<T> {
  const tell = (status: number, delayMs: number): Promise<unknown> =>
    Promise.all(pods.map((pod) => stage.app(pod).call("behave", { status, delayMs })));
  await tell(behavior.status ?? 200, behavior.delayMs ?? 0);
  try {
    return await act();
  } finally {
    await tell(200, 0);
  }
}
