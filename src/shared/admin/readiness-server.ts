/** `GET /healthz/ready`: 200, or 500 with the names of what is still missing (wire/ztunnel.md section 9.4). */
import type { Readiness } from "../base/readiness.ts";
import { type AdminHandler, textAnswer } from "./http-server.ts";

export function readinessRoutes(readiness: Readiness): Readonly<Record<string, AdminHandler>> {
  return {
    "/healthz/ready": (request) => {
      if (request.method !== "GET") return textAnswer(405, "method not allowed\n");
      return readiness.ready
        ? textAnswer(200, "ready\n")
        : textAnswer(500, `not ready, pending: ${readiness.pending().join(", ")}\n`);
    },
  };
}
