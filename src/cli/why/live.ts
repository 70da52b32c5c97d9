/** Asks the admin port of a node's ztunnel, which answers from the state that its connections are decided by. */

import type { WhyWaypoint } from "../../ztunnel/why/record.ts";
import type { WhyQuestion } from "../../ztunnel/why.ts";
import { CommandFailure } from "../command.ts";
import { waypointsOf } from "./waypoint.ts";

/** Of the answer only what is printed or checked is read; the rest passes through as it came. */
export interface LiveAnswer {
  readonly verdict: string;
  readonly text: readonly string[];
  /** Waypoints on the way. */
  readonly waypoints: readonly WhyWaypoint[];
  /** The newest decisions of that node about such a connection. */
  readonly recent: readonly string[];
  readonly json: unknown;
}

const TIMEOUT_MS = 10_000;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function recentText(value: unknown): string {
  if (!isRecord(value)) return JSON.stringify(value);
  const { time, outcome, reason, decidedBy, direction } = value;
  const by = typeof decidedBy === "string" ? ` (${decidedBy})` : "";
  return `${String(time)} ${String(direction)} ${String(outcome)}: ${String(reason)}${by}`;
}

function decode(json: unknown, url: string): LiveAnswer {
  if (!isRecord(json) || typeof json["verdict"] !== "string" || !Array.isArray(json["text"]))
    throw new CommandFailure(`Cannot understand the answer of ${url}: not a ztunnel of ambit`);
  const recent = Array.isArray(json["recent"]) ? json["recent"] : [];
  return {
    verdict: json["verdict"],
    text: json["text"].map(String),
    waypoints: waypointsOf(Array.isArray(json["paths"]) ? json["paths"].filter(isRecord) : []),
    recent: recent.map(recentText),
    json,
  };
}

export async function explainLive(admin: string, question: WhyQuestion): Promise<LiveAnswer> {
  const url = new URL("/debug/why", admin);
  url.searchParams.set("from", question.from);
  url.searchParams.set("to", question.to);
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    body = await response.text();
  } catch (cause) {
    throw new CommandFailure(
      `Cannot ask the ztunnel at ${admin}; name its admin port with --admin, or object files with --config`,
      { cause },
    );
  }
  if (response.status === 400) throw new CommandFailure(body.trim());
  if (response.status !== 200)
    throw new CommandFailure(
      `Cannot ask the ztunnel at ${admin}: it answers ${response.status} to ${url.pathname}`,
    );
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (cause) {
    throw new CommandFailure(`Cannot understand the answer of ${admin}: not JSON`, { cause });
  }
  return decode(json, admin);
}
