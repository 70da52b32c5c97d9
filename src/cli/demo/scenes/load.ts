/** Steady requests while something happens; not one of them may fail. */
import { systemClock } from "../../../shared/base/clock.ts";
import { HTTP_PORT, type LoadResult, type Target } from "../apps/protocol.ts";
import { serviceIp } from "../shop.ts";
import { expect, type Stage } from "../stage.ts";

/** Rate per caller, unless it has one of its own. */
const REQUESTS_PER_SECOND = 40;
const SETTLE_MS = 1_000;

export interface Caller {
  readonly app: string;
  readonly targets: readonly Target[];
  /** Otherwise every request is a connection of its own. */
  readonly keepAlive?: boolean;
  readonly perSecond?: number;
}

/** To both nodes, to services and to a pod's own address. */
function everywhere(stage: Stage): readonly Caller[] {
  const catalog = { host: serviceIp("catalog"), port: 80 };
  const direct = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
  const orders = { host: serviceIp("orders"), port: 80 };
  return [
    { app: "web", targets: [catalog, orders, direct] },
    { app: "orders", targets: [catalog] },
    { app: "catalog-v2", targets: [orders] },
  ];
}

export interface UnderLoad<T> {
  readonly outcome: T;
  readonly requests: number;
  readonly longestMs: number;
}

/** Runs `act` under load; the load must not lose a single request. */
export async function underLoad<T>(
  stage: Stage,
  act: () => Promise<T>,
  callers: readonly Caller[] = everywhere(stage),
): Promise<UnderLoad<T>> {
  const begun = systemClock.monotonicMs();
  const loads = callers.map((caller, position) => ({
    ...caller,
    app: stage.app(caller.app),
    load: `load-${begun}-${position}`,
  }));
  await Promise.all(
    loads.map(({ app, load, targets, keepAlive = false, perSecond = REQUESTS_PER_SECOND }) =>
      app.call("loadStart", { load, targets, perSecond, keepAlive }),
    ),
  );
  const end = (): Promise<LoadResult[]> =>
    Promise.all(loads.map(({ app, load }) => app.call("loadEnd", { load })));
  try {
    await systemClock.sleep(SETTLE_MS / 2);
    const outcome = await act();
    await systemClock.sleep(SETTLE_MS);
    return { outcome, ...judge(await end()) };
  } catch (thrown) {
    await end().catch(() => undefined);
    throw thrown;
  }
}

function judge(results: readonly LoadResult[]): { requests: number; longestMs: number } {
  const failure = results.flatMap(({ failures }) => failures)[0];
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  const requests = results.reduce((sum, result) => sum + result.ok, 0);
  expect(
    failed === 0,
    `${failed} of ${requests + failed} requests failed, the first to ${failure?.target}: ${failure?.reason}`,
  );
  expect(requests > 40, `only ${requests} requests were made`);
  return { requests, longestMs: Math.max(...results.map((result) => result.longestMs)) };
}
