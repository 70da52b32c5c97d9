/** The paths of the admin port that only a ztunnel has. */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";
import { decisionView } from "../proxy/decision-view.ts";
import type { DecisionSource } from "../proxy/decisions.ts";
import type { ResolveHostname } from "../proxy/scope.ts";
import { configDump, type DumpSources } from "./config-dump.ts";
import { whyRoute } from "./why-route.ts";

const defaultDecisions = 50;

export function ztunnelRoutes(
  dump: DumpSources,
  decisions: DecisionSource,
  resolveHostname?: ResolveHostname,
): Readonly<Record<string, AdminHandler>> {
  return {
    "/config_dump": async () => jsonAnswer(await configDump(dump)),
    "/debug/decisions": async ({ query }) => {
      const text = query.get("n") ?? String(defaultDecisions);
      if (!/^\d{1,6}$/.test(text)) return textAnswer(400, "n must be a number\n");
      const latest = await decisions.latest(Number(text));
      return jsonAnswer({ decisions: latest.map(decisionView) });
    },
    "/debug/why": whyRoute({
      config: dump.config,
      store: dump.store,
      decisions,
      ...(resolveHostname === undefined ? {} : { resolveHostname }),
    }),
  };
}
