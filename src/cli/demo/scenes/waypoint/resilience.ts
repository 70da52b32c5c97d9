/** What the waypoint does about services that fail or dawdle, and failures that it makes up. */
import type { Scene } from "../../scene.ts";
import { eventually, expect } from "../../stage.ts";
import {
  ask,
  burst,
  expectAll,
  PUSH_DEADLINE_MS,
  untilLogged,
  untilRoute,
  withBehavior,
  withObjects,
} from "./helpers.ts";
import { destinationRule, toCatalog, virtualService } from "./objects.ts";

/** The waypoint itself answers with what the applications cannot. */
const noRetries = { retries: { attempts: 0 } };

export const retriesHideFailure: Scene = {
  name: "retries-hide-failure",
  title: "Retries hide a pod that fails every request",
  play: (stage) => {
    const retries = { attempts: 8, perTryTimeout: "2s", retryOn: "5xx" };
    const route = virtualService("catalog", "retried", [{ route: toCatalog, retries }]);
    return withObjects(stage, [route], async () => {
      await untilRoute(stage, "retried");
      return withBehavior(stage, ["catalog-v2"], { status: 500 }, async () => {
        const path = "/retried";
        const result = await burst(stage, 60, { path });
        expectAll(result);
        const { requests } = await stage.app("catalog-v2").call("seen", { path });
        expect(requests.length >= 10, `catalog-v2 was asked ${requests.length} times`);
        return `60 of 60 answered well, though catalog-v2 failed all ${requests.length} requests that it got`;
      });
    });
  },
};

export const routeTimeout: Scene = {
  name: "route-timeout",
  title: "A timeout ends what takes too long",
  play: (stage) => {
    const route = virtualService("catalog", "timed", [
      { match: [{ uri: { prefix: "/slow" } }], route: toCatalog, timeout: "300ms", ...noRetries },
      { route: toCatalog },
    ]);
    return withObjects(stage, [route], async () => {
      await untilRoute(stage, "timed");
      const pods = ["catalog-v1", "catalog-v2"];
      return withBehavior(stage, pods, { delayMs: 1_500 }, async () => {
        const mark = stage.waypoints.record.mark();
        const { status, body, tookMs } = await ask(stage, { path: "/slow" });
        expect(status === 504, `the answer was ${status}`);
        expect(tookMs > 250 && tookMs < 1_400, `it took ${Math.round(tookMs)} ms`);
        const entry = await untilLogged(stage, mark, "timeout", ({ path }) => path === "/slow");
        expect(entry.flags.includes("UT"), `it was logged with the flags "${entry.flags}"`);
        return `504 after ${Math.round(tookMs)} ms: "${body}", logged as ${entry.flags} ${entry.details}`;
      });
    });
  },
};

export const injectedFault: Scene = {
  name: "injected-fault",
  title: "Faults are injected for those who ask for them",
  play: (stage) => {
    const always = { percentage: { value: 100 } };
    const whoSays = (fault: string) => [{ headers: { "x-fault": { exact: fault } } }];
    const route = virtualService("catalog", "faults", [
      {
        match: whoSays("abort"),
        fault: { abort: { httpStatus: 418, ...always } },
        route: toCatalog,
      },
      {
        match: whoSays("delay"),
        fault: { delay: { fixedDelay: "400ms", ...always } },
        route: toCatalog,
      },
      { route: toCatalog },
    ]);
    return withObjects(stage, [route], async () => {
      await untilRoute(stage, "faults");
      const mark = stage.waypoints.record.mark();
      const aborted = await ask(stage, { path: "/fault", headers: { "x-fault": "abort" } });
      const delayed = await ask(stage, { path: "/fault", headers: { "x-fault": "delay" } });
      const spared = await ask(stage, { path: "/fault" });
      expect(aborted.status === 418, `the abort was answered with ${aborted.status}`);
      expect(delayed.status === 200, `the delay was answered with ${delayed.status}`);
      expect(delayed.tookMs >= 390, `the delayed one took ${Math.round(delayed.tookMs)} ms`);
      expect(spared.status === 200 && spared.tookMs < 390, "somebody else was hit");
      const injected = ({ flags }: { readonly flags: string }): boolean => flags.includes("FI");
      const { flags, details } = await untilLogged(stage, mark, "abort", injected);
      return `418 (${flags} ${details}); a delay of ${Math.round(delayed.tookMs)} ms; others ${Math.round(spared.tookMs)} ms`;
    });
  },
};

export const circuitBreaker: Scene = {
  name: "circuit-breaker",
  title: "A pod that fails is taken out, and back in when it is well",
  play: (stage) => {
    const breaker = destinationRule("catalog", {
      trafficPolicy: {
        // With outlier detection pods of the waypoint's own zone come first, as long as they are well.
        loadBalancer: { localityLbSetting: { enabled: false } },
        outlierDetection: {
          consecutive5xxErrors: 3,
          interval: "300ms",
          baseEjectionTime: "1500ms",
          maxEjectionPercent: 100,
        },
      },
    });
    const route = virtualService("catalog", "guarded", [{ route: toCatalog, ...noRetries }]);
    return withObjects(stage, [breaker, route], async () => {
      await untilRoute(stage, "guarded");
      const failures = await withBehavior(stage, ["catalog-v2"], { status: 500 }, async () => {
        const { byStatus } = await burst(stage, 40);
        const failed = byStatus["500"] ?? 0;
        // Requests that are under way when the third fails may still meet it.
        expect(
          failed >= 3 && failed <= 11,
          `the failing pod was asked ${failed} times: ${JSON.stringify(byStatus)}`,
        );
        const result = await burst(stage, 40);
        expectAll(result);
        expect(result.byPod["catalog-v1"] === 40, `answers: ${JSON.stringify(result.byPod)}`);
        return failed;
      });
      await eventually("the healed pod is not taken back", PUSH_DEADLINE_MS, async () => {
        const { byPod } = await burst(stage, 8);
        return byPod["catalog-v2"] === undefined ? undefined : true;
      });
      return `out after ${failures} failures, then 40 of 40 from catalog-v1; healed, catalog-v2 answers again`;
    });
  },
};
