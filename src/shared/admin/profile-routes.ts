/** `/debug/pprof/…`: profiles of this process for `go tool pprof` (wire/ztunnel.md section 9.3). */
import type { Clock } from "../base/clock.ts";
import type { HeapSampler } from "../profile/samplers.ts";
import { type AdminAnswer, type AdminHandler, textAnswer } from "./http-server.ts";

const defaults = { cpuSeconds: 10, heapSeconds: 1, frequencyHz: 100 } as const;
const limits = { seconds: 300, frequencyHz: 1000 } as const;

function numberIn(
  query: URLSearchParams,
  name: string,
  fallback: number,
  max: number,
): number | undefined {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? value : undefined;
}

const badSeconds = textAnswer(400, `invalid seconds value; expected 1-${limits.seconds}\n`);
const badFrequency = textAnswer(400, `invalid frequency value; expected 1-${limits.frequencyHz}\n`);

function profileAnswer(body: Uint8Array): AdminAnswer {
  return { status: 200, body, contentType: "application/octet-stream" };
}

/** The profilers are loaded when somebody asks: most processes never need them. */
const load = () => import("../profile/samplers.ts");

export function profileRoutes(clock: Clock): Readonly<Record<string, AdminHandler>> {
  let loaded: Promise<HeapSampler> | undefined;
  const heap = (): Promise<HeapSampler> => {
    loaded ??= load().then(({ HeapSampler }) => new HeapSampler(clock));
    return loaded;
  };
  return {
    "/debug/pprof/profile": async ({ query, signal }) => {
      const seconds = numberIn(query, "seconds", defaults.cpuSeconds, limits.seconds);
      const frequencyHz = numberIn(query, "frequency", defaults.frequencyHz, limits.frequencyHz);
      if (seconds === undefined) return badSeconds;
      if (frequencyHz === undefined) return badFrequency;
      const { sampleCpu } = await load();
      return profileAnswer(await sampleCpu(clock, { seconds, frequencyHz }, signal));
    },
    "/debug/pprof/heap": async ({ query, signal }) => {
      const seconds = numberIn(query, "seconds", defaults.heapSeconds, limits.seconds);
      if (seconds === undefined) return badSeconds;
      return profileAnswer(await (await heap()).profile(seconds, signal));
    },
    "/debug/pprof/heap/profiling": async ({ query }) => {
      const wanted = query.get("activate");
      const sampler = await heap();
      if (wanted === "true") sampler.activate();
      else if (wanted === "false") sampler.deactivate();
      else if (wanted !== null)
        return textAnswer(
          400,
          `invalid activate value ${JSON.stringify(wanted)}; expected true or false\n`,
        );
      return textAnswer(200, `heap profiling active: ${sampler.active}\n`);
    },
  };
}
