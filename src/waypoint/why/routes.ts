/**
 * `/debug/why?to=10.96.1.1:80&from=10.10.1.10&identity=spiffe://...&method=GET&path=/&host=reviews&header=name:value`: what
 * this waypoint would do now.
 */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";
import { explainAtWaypoint, WaypointQuestionError, type WaypointWhyState } from "../why.ts";
import type { WaypointQuestion } from "./record.ts";

const USAGE =
  "usage: /debug/why?to=<ip>:<port>&from=<ip>[&identity=<spiffe uri>][&method=GET][&path=/][&host=<host>][&header=<name>:<value>][&protocol=tcp]\n";

function questionOf(query: URLSearchParams): WaypointQuestion | undefined {
  const to = query.get("to");
  const from = query.get("from");
  if (to === null || from === null) return undefined;
  const headers: (readonly [string, string])[] = [];
  for (const header of query.getAll("header")) {
    const colon = header.indexOf(":");
    if (colon <= 0) return undefined;
    headers.push([header.slice(0, colon).trim().toLowerCase(), header.slice(colon + 1).trim()]);
  }
  return {
    to,
    from,
    identity: query.get("identity") ?? undefined,
    request:
      query.get("protocol") === "tcp"
        ? undefined
        : {
            method: query.get("method") ?? "GET",
            path: query.get("path") ?? "/",
            host: query.get("host") ?? to,
            headers,
          },
  };
}

export function waypointWhyRoutes(
  state: () => WaypointWhyState,
): Readonly<Record<string, AdminHandler>> {
  return {
    "/debug/why": async ({ query }) => {
      const question = questionOf(query);
      if (question === undefined) return textAnswer(400, USAGE);
      try {
        const record = await explainAtWaypoint(state(), question);
        return query.get("format") === "text"
          ? textAnswer(200, record.text.map((line) => `${line}\n`).join(""))
          : jsonAnswer(record);
      } catch (thrown) {
        if (thrown instanceof WaypointQuestionError) return textAnswer(400, `${thrown.message}\n`);
        throw thrown;
      }
    },
  };
}
