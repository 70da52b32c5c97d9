/** What an operator does: upgrade a ztunnel, look at its memory. */
import { systemClock } from "../../../shared/base/clock.ts";
import { STATS_PORT } from "../../world/mesh.ts";
import { ECHO_PORT } from "../apps/protocol.ts";
import type { Scene } from "../scene.ts";
import { NODES } from "../shop.ts";
import { eventually, expect, type Stage } from "../stage.ts";
import { underLoad } from "./load.ts";

const IDLE_LIMIT_MB = 70;
/** What only the start needed is given back a moment after it. */
const SETTLE_LIMIT_MS = 3_000;
/** Each thread that moves bytes has a heap of its own (docs/performance.md). */
const FURTHER_THREAD_MB = 30;
const CHURN_CONNECTIONS = 10_000;
const CHURN_CONCURRENCY = 32;
/** Connections before the base line is taken: caches and compiled code have their size by then. */
const WARM_UP_CONNECTIONS = 1_500;
/** The collector is lazy up to a multiple of what lives; a leak of 4 KB a connection would show. */
const GROWTH_LIMIT_MB = 40;

function residentMb(stage: Stage): number[] {
  return NODES.map((node) => stage.mesh.ztunnel(node).process.residentKib() / 1024);
}

/** How many threads move the bytes of a ztunnel. */
async function threadsOf(stage: Stage, node: string): Promise<number> {
  const { ip } = stage.mesh.ztunnel(node).pod;
  const text = await (await fetch(`http://${ip}:${STATS_PORT}/metrics`)).text();
  return Number(/^tokio_num_workers (\d+)$/m.exec(text)?.[1] ?? 1);
}

function inMb(values: readonly number[]): string {
  return values.map((value) => `${value.toFixed(0)} MB`).join(" and ");
}

export const ztunnelReplaced: Scene = {
  name: "ztunnel-replaced-under-load",
  title: "A ztunnel is replaced under load, and no new connection fails",
  play: async (stage) => {
    const { outcome, requests, longestMs } = await underLoad(stage, () =>
      stage.mesh.replaceZtunnel("node2"),
    );
    const { before, after } = outcome;
    const exit = await before.process.exited;
    expect(exit.code === 0, `the old one ended with ${exit.signal ?? exit.code}`);
    return `process ${before.process.pid} gave way to ${after.process.pid}; ${requests} requests, none failed, slowest ${longestMs} ms`;
  },
};

export const memoryIdle: Scene = {
  name: "memory-idle",
  title: "A ztunnel that waits is small",
  play: async (stage) => {
    const threads = Math.max(...(await Promise.all(NODES.map((node) => threadsOf(stage, node)))));
    const limitMb = IDLE_LIMIT_MB + (threads - 1) * FURTHER_THREAD_MB;
    const resident = await eventually(
      `resident memory is not below ${limitMb} MB`,
      SETTLE_LIMIT_MS,
      () => {
        const found = residentMb(stage);
        return Math.max(...found) < limitMb ? found : undefined;
      },
    );
    return `resident memory is ${inMb(resident)}${threads === 1 ? "" : `, with ${threads} threads`}`;
  },
};

export const memoryStable: Scene = {
  name: "memory-stable",
  title: `${CHURN_CONNECTIONS} connections leave no memory behind`,
  play: async (stage) => {
    const { ip, ip6 } = stage.pod("catalog-v2");
    const run = async (host: string, connections: number): Promise<number> => {
      const result = await stage.app("web").call("churn", {
        host,
        port: ECHO_PORT,
        connections,
        concurrency: CHURN_CONCURRENCY,
      });
      expect(result.failed === 0, `${result.failed} failed: ${result.failures[0]?.reason}`);
      return result.ok;
    };
    // Two address families, so that the ports waiting in TIME_WAIT of one run do not slow down the other.
    await run(ip6, WARM_UP_CONNECTIONS);
    const before = residentMb(stage);
    const startedMs = systemClock.monotonicMs();
    await run(ip, CHURN_CONNECTIONS);
    const perSecond = (CHURN_CONNECTIONS * 1_000) / (systemClock.monotonicMs() - startedMs);
    const after = residentMb(stage);
    const grown = after.map((value, node) => value - (before[node] ?? 0));
    expect(Math.max(...grown) < GROWTH_LIMIT_MB, `${inMb(before)} became ${inMb(after)}`);
    return `${inMb(before)} before, ${inMb(after)} after; ${Math.round(perSecond)} connections a second`;
  },
};
