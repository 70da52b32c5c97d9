/** `/stats`: the counters under Envoy's names that probes and tools of the reference ask for (wire/waypoint.md section 1.7). */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";

/** Name to value, as of now. */
export type StatsSource = () => ReadonlyMap<string, number>;

function pattern(text: string | null): RegExp | undefined {
  if (text === null || text === "") return undefined;
  // Names are short, and whoever asks is an operator on loopback.
  return new RegExp(text);
}

export function statsPage(source: StatsSource, prometheus: AdminHandler): AdminHandler {
  return (request) => {
    const { query } = request;
    if (query.get("format") === "prometheus") return prometheus(request);
    let filter: RegExp | undefined;
    try {
      filter = pattern(query.get("filter"));
    } catch {
      return textAnswer(400, "Invalid re2 regex\n");
    }
    const stats = [...source()]
      .filter(
        ([name, value]) =>
          (filter?.test(name) ?? true) &&
          (!query.has("usedonly") || value !== 0 || always.has(name)),
      )
      .sort(([a], [b]) => (a < b ? -1 : 1));
    if (query.get("format") === "json")
      return jsonAnswer({ stats: stats.map(([name, value]) => ({ name, value })) });
    return textAnswer(200, stats.map(([name, value]) => `${name}: ${value}\n`).join(""));
  };
}

/** 0 is a value that was set, not one that was never used. */
const always: ReadonlySet<string> = new Set(["server.state"]);
