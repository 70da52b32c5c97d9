/** The leg of a connection that a waypoint decides: asked of its admin port, or of what the objects would make of it. */
import type { Clock } from "../../shared/base/clock.ts";
import { type OfflineWaypoint, offlineWaypoint } from "../../waypoint/compile/offline.ts";
import type { WaypointQuestion, WaypointRequest } from "../../waypoint/why/record.ts";
import { explainAtWaypoint } from "../../waypoint/why.ts";
import type { WhyPath, WhyWaypoint } from "../../ztunnel/why/record.ts";
import { CommandFailure, UsageFailure } from "../command.ts";

/** What the options say of a request. */
export interface RequestOptions {
  readonly method?: string | undefined;
  readonly path?: string | undefined;
  readonly host?: string | undefined;
  readonly header: readonly string[];
}

/** Of the answer only what is printed or checked is read. */
export interface WaypointAnswer {
  readonly waypoint: string;
  readonly verdict: string;
  readonly because: string;
  readonly text: readonly string[];
  readonly json: unknown;
}

const TIMEOUT_MS = 10_000;

export function isRequest({ method, path, host, header }: RequestOptions): boolean {
  return method !== undefined || path !== undefined || host !== undefined || header.length > 0;
}

/** `to`: as the person wrote it; its name is what a client would write as host. */
export function requestOf(options: RequestOptions, to: string): WaypointRequest {
  const { method = "GET", path = "/", host = hostOf(to), header } = options;
  if (!path.startsWith("/")) throw new UsageFailure(`--path: expected "/...", not "${path}"`);
  return {
    method,
    path,
    host,
    headers: header.map((text) => {
      const colon = text.indexOf(":");
      if (colon <= 0) throw new UsageFailure(`--header: expected name:value, not "${text}"`);
      return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()] as const;
    }),
  };
}

/** `namespace/service:port` is called `service.namespace:port` by its clients. */
function hostOf(to: string): string {
  const named = /^([^/:]+)\/([^/:]+)(:\d+)$/.exec(to);
  return named === null ? to : `${named[2]}.${named[1]}${named[3]}`;
}

/** Each of the waypoints that may be taken, once. */
export function waypointsOf(paths: readonly Pick<WhyPath, "waypoint">[]): readonly WhyWaypoint[] {
  const found = new Map<string, WhyWaypoint>();
  for (const { waypoint } of paths)
    if (waypoint !== undefined)
      found.set(`${waypoint.uid} ${waypoint.authority} ${waypoint.clientIdentity}`, waypoint);
  return [...found.values()];
}

function questionOf(waypoint: WhyWaypoint, request: WaypointRequest): WaypointQuestion {
  const { authority, clientAddress, clientIdentity } = waypoint;
  return { to: authority, from: clientAddress, identity: clientIdentity, request };
}

export async function askOffline(
  waypoint: WhyWaypoint,
  request: WaypointRequest,
  resources: Parameters<typeof offlineWaypoint>[0],
  clock: Clock,
): Promise<{ readonly answer: WaypointAnswer; readonly refused: readonly string[] }> {
  const compiled: OfflineWaypoint = offlineWaypoint(resources, clock, undefined);
  try {
    const record = await explainAtWaypoint(compiled.state, questionOf(waypoint, request));
    const { verdict, because, text } = record;
    return {
      answer: { waypoint: waypoint.name, verdict, because, text, json: record },
      refused: compiled.refused,
    };
  } finally {
    compiled.close();
  }
}

export async function askLive(
  waypoint: WhyWaypoint,
  request: WaypointRequest,
  admin: string,
): Promise<WaypointAnswer> {
  const url = new URL("/debug/why", admin);
  const { to, from, identity } = questionOf(waypoint, request);
  const { method, path, host, headers } = request;
  const parameters = { to, from, identity: identity ?? "", method, path, host };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  for (const [name, value] of headers) url.searchParams.append("header", `${name}:${value}`);
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    body = await response.text();
  } catch (cause) {
    throw new CommandFailure(`Cannot ask the waypoint at ${admin}`, { cause });
  }
  if (response.status !== 200)
    throw new CommandFailure(
      `Cannot ask the waypoint at ${admin}: it answers ${response.status}: ${body.trim()}`,
    );
  return decode(body, waypoint.name, admin);
}

function decode(body: string, waypoint: string, admin: string): WaypointAnswer {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (cause) {
    throw new CommandFailure(`Cannot understand the answer of ${admin}: not JSON`, { cause });
  }
  const { verdict, because, text } = json as Readonly<Record<string, unknown>>;
  if (typeof verdict !== "string" || !Array.isArray(text))
    throw new CommandFailure(`Cannot understand the answer of ${admin}: not a waypoint of ambit`);
  return { waypoint, verdict, because: String(because), text: text.map(String), json };
}

/** A waypoint's word stands before what comes after it. */
export function combined(verdict: string, answers: readonly WaypointAnswer[]): string {
  const others = answers.filter((answer) => answer.verdict !== "allowed");
  if (others.length === 0 || verdict !== "allowed") return verdict;
  return others.length < answers.length ? "mixed" : (others[0]?.verdict ?? verdict);
}

export function answerLines(answers: readonly WaypointAnswer[], verdict: string): string[] {
  const names = [...new Set(answers.map(({ waypoint }) => waypoint))].join(", ");
  return [
    ...answers.flatMap(({ waypoint, text }) => ["", `at the waypoint ${waypoint}`, ...text]),
    "",
    `verdict  ${verdict.toUpperCase()}, with what the waypoint ${names} does`,
  ];
}
