/** The settings as JSON, camelCase, without anything secret. */
import type { ZtunnelConfig } from "../config.ts";
import type { JsonObject } from "./mesh-view.ts";

const redacted = "<redacted>";

/** Maps become objects; values of headers and literal tokens are replaced. */
export function configView(config: ZtunnelConfig): JsonObject {
  const view: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    if (value !== undefined) view[key] = plain(key, value);
  }
  return view;
}

function plain(key: string, value: unknown): unknown {
  if (key === "authToken" || key === "token") return redacted;
  if (value instanceof Map) return mapView(key, value);
  if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([innerKey, inner]) => [innerKey, plain(innerKey, inner)]),
  );
}

function mapView(key: string, map: ReadonlyMap<unknown, unknown>): JsonObject {
  return Object.fromEntries(
    [...map].map(([name, value]) => [String(name), key === "headers" ? redacted : value]),
  );
}
