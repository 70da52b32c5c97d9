/** Where requests go: shares of versions, headers, copies. */
import type { Scene } from "../../scene.ts";
import { eventually, expect, type Stage } from "../../stage.ts";
import { underLoad } from "../load.ts";
import {
  burst,
  expectAll,
  serviceCallers,
  untilRoute,
  withObjects,
  writeObjects,
} from "./helpers.ts";
import { catalogVersions, shares, toCatalog, virtualService } from "./objects.ts";

const SAMPLE = 200;
/** At least four standard deviations around 20 and 100 of 200. */
const TEN_PERCENT = { least: 3, most: 41 } as const;
const HALF = { least: 65, most: 135 } as const;

function split(v1: number, v2: number): Parameters<typeof writeObjects>[1] {
  const route = virtualService("catalog", `${v1}-${v2}`, [{ route: shares(v1, v2) }]);
  return [catalogVersions, route];
}

async function sampleV2(
  stage: Stage,
  { least, most }: { readonly least: number; readonly most: number },
): Promise<number> {
  const result = await burst(stage, SAMPLE);
  expectAll(result);
  const found = result.byPod["catalog-v2"] ?? 0;
  expect(found >= least && found <= most, `catalog-v2 got ${found} of ${SAMPLE} requests`);
  return found;
}

export const canaryShift: Scene = {
  name: "canary-shift",
  title: "A canary gets 10 of 100 requests, then 50, under load and without a failure",
  play: (stage) =>
    withObjects(stage, split(90, 10), async () => {
      const { outcome, requests } = await underLoad(
        stage,
        async () => {
          await untilRoute(stage, "90-10");
          const tenth = await sampleV2(stage, TEN_PERCENT);
          writeObjects(stage, split(50, 50));
          const tookMs = await untilRoute(stage, "50-50");
          return { tenth, tookMs, half: await sampleV2(stage, HALF) };
        },
        serviceCallers,
      );
      const { tenth, half, tookMs } = outcome;
      return `v2 got ${tenth} of ${SAMPLE}, ${tookMs} ms after the change ${half} of ${SAMPLE}; ${requests} more requests, none failed`;
    }),
};

export const headerRouting: Scene = {
  name: "header-routing",
  title: "A header decides which version answers",
  play: (stage) => {
    const routes = virtualService("catalog", "by-header", [
      { match: [{ headers: { "x-group": { exact: "testers" } } }], route: shares(0, 100) },
      { route: shares(100, 0) },
    ]);
    return withObjects(stage, [catalogVersions, routes], async () => {
      await untilRoute(stage, "by-header");
      const testers = await burst(stage, 20, { headers: { "x-group": "testers" } });
      const others = await burst(stage, 20, { headers: { "x-group": "Testers" } });
      expectAll(testers);
      expectAll(others);
      expect(testers.byPod["catalog-v2"] === 20, `testers got ${JSON.stringify(testers.byPod)}`);
      expect(others.byPod["catalog-v1"] === 20, `others got ${JSON.stringify(others.byPod)}`);
      return "20 of 20 with x-group: testers came from v2, 20 of 20 others from v1";
    });
  },
};

export const mirroredTraffic: Scene = {
  name: "mirrored-traffic",
  title: "A copy of every request arrives at another service, and clients notice nothing",
  play: (stage) => {
    const route = virtualService("catalog", "mirrored", [
      { route: toCatalog, mirror: { host: "orders" }, mirrorPercentage: { value: 100 } },
    ]);
    return withObjects(stage, [route], async () => {
      await untilRoute(stage, "mirrored");
      const path = "/mirrored";
      const result = await burst(stage, 20, { path, headers: { host: "catalog" } });
      expectAll(result);
      const pods = Object.keys(result.byPod);
      expect(
        pods.every((pod) => pod.startsWith("catalog")),
        `clients got answers of ${pods.join(", ")}`,
      );
      const copies = await eventually("the copies did not arrive", 3_000, async () => {
        const { requests } = await stage.app("orders").call("seen", { path });
        return requests.length === 20 ? requests : undefined;
      });
      return `orders got 20 copies for the host ${copies[0]?.headers["host"]}`;
    });
  },
};
