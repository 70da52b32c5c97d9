/** Open connections as plain data. */
import type { ConnectionRegistry } from "../proxy/connections.ts";
import type { ConnectionView } from "./messages.ts";

/** Those whose destination is decided. */
export function openConnections(registry: ConnectionRegistry): ConnectionView[] {
  const views: ConnectionView[] = [];
  for (const { direction, details } of registry)
    if (details !== undefined) views.push({ direction, details });
  return views;
}
