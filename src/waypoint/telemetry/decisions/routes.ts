/** `/debug/decisions?n=20&refused`: the last decisions, newest first. */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../../shared/admin/http-server.ts";
import type { DecisionRing } from "./ring.ts";
import { viewRecord } from "./view.ts";

const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;

export function decisionRoutes(ring: DecisionRing): Readonly<Record<string, AdminHandler>> {
  return {
    "/debug/decisions": ({ query }) => {
      const asked = query.get("n");
      if (asked !== null && !/^\d{1,6}$/.test(asked))
        return textAnswer(400, `n: expected a count, not "${asked}"\n`);
      const count = Math.min(MAX_COUNT, asked === null ? DEFAULT_COUNT : Number(asked));
      const records = ring.latest(count, query.has("refused")).map(viewRecord);
      return query.get("format") === "text"
        ? textAnswer(200, records.map(({ time, text }) => `${time}\t${text}\n`).join(""))
        : jsonAnswer(records);
    },
  };
}
