/** The admin paths that every role has: index, log levels, shutdown, profiles (wire/ztunnel.md section 9.3). */
import type { Session } from "node:inspector/promises";
import type { Clock } from "../base/clock.ts";
import type { LogFilter } from "../telemetry/logger.ts";
import { type AdminAnswer, type AdminHandler, textAnswer } from "./http-server.ts";

export interface OperatorDeps {
  readonly filter: LogFilter;
  /** Directives that `?reset` goes back to. */
  readonly defaultFilter: string;
  readonly clock: Clock;
  /** Starts the graceful shutdown. */
  readonly quit: () => void;
}

const loggingUsage = `usage: POST /logging\t\t\t\t\t\t(To list current level)
usage: POST /logging?level=<level>\t\t\t\t(To change global levels)
usage: POST /logging?level={mod1}={level1},{mod2}={level2}\t(To change specific mods' logging level)

hint: loglevel:\terror|warn|info|debug|trace|off
hint: mod_name:\tthe module name, i.e. access
`;

function logging(deps: OperatorDeps): AdminHandler {
  return ({ method, query }) => {
    if (method !== "POST") return textAnswer(405, `Invalid HTTP method\n${loggingUsage}`);
    if (query.has("reset")) deps.filter.reset(deps.defaultFilter);
    const level = query.get("level");
    if (level !== null) {
      const problem = deps.filter.apply(level);
      if (problem !== undefined)
        return textAnswer(400, `Invalid level: ${problem}\n${loggingUsage}`);
    }
    return textAnswer(200, `current log level is ${deps.filter.toString()}\n`);
  };
}

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

/** The inspector is loaded only when somebody profiles. */
async function openSession(): Promise<Session> {
  const inspector = await import("node:inspector/promises");
  const session = new inspector.Session();
  session.connect();
  return session;
}

/** V8's own formats (`.cpuprofile`, `.heapsnapshot` summary), which every JavaScript profiler opens. */
async function cpuProfile(
  clock: Clock,
  seconds: number,
  frequency: number,
  signal: AbortSignal,
): Promise<AdminAnswer> {
  const session = await openSession();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: Math.round(1e6 / frequency) });
    await session.post("Profiler.start");
    await clock.sleep(seconds * 1000, signal);
    const { profile } = await session.post("Profiler.stop");
    return { status: 200, body: JSON.stringify(profile), contentType: "application/json" };
  } finally {
    session.disconnect();
  }
}

async function heapProfile(clock: Clock, signal: AbortSignal): Promise<AdminAnswer> {
  const session = await openSession();
  try {
    await session.post("HeapProfiler.startSampling");
    await clock.sleep(1000, signal);
    const { profile } = await session.post("HeapProfiler.stopSampling");
    return { status: 200, body: JSON.stringify(profile), contentType: "application/json" };
  } finally {
    session.disconnect();
  }
}

export function operatorRoutes(deps: OperatorDeps): Readonly<Record<string, AdminHandler>> {
  return {
    "/logging": logging(deps),
    "/quitquitquit": ({ method }) => {
      if (method !== "POST") return textAnswer(405, "Invalid HTTP method\n");
      deps.quit();
      return textAnswer(200, "shutdown now\n");
    },
    "/debug/pprof/profile": ({ query, signal }) => {
      const seconds = numberIn(query, "seconds", 10, 300);
      const frequency = numberIn(query, "frequency", 100, 1000);
      if (seconds === undefined) return textAnswer(400, "seconds must be from 1 to 300\n");
      if (frequency === undefined) return textAnswer(400, "frequency must be from 1 to 1000\n");
      return cpuProfile(deps.clock, seconds, frequency, signal);
    },
    "/debug/pprof/heap": ({ signal }) => heapProfile(deps.clock, signal),
  };
}

/** `/`: what else there is. */
export function indexRoute(
  title: string,
  routes: Readonly<Record<string, AdminHandler>>,
): Readonly<Record<string, AdminHandler>> {
  const items = Object.keys(routes)
    .sort()
    .map((path) => `<li><a href="${path.slice(1)}">${path.slice(1)}</a></li>`)
    .join("\n");
  const body = `<!doctype html>\n<title>${title}</title>\n<h1>${title}</h1>\n<ul>\n${items}\n</ul>\n`;
  return { "/": () => ({ status: 200, body, contentType: "text/html; charset=utf-8" }) };
}
