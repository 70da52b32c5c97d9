/** Spans as Zipkin's API v2 takes them. */
import { isIPv6 } from "node:net";
import type { Span } from "./span.ts";

export interface LocalEndpoint {
  readonly serviceName: string;
  readonly ip: string;
}

export function zipkinJson(spans: readonly Span[], { serviceName, ip }: LocalEndpoint): string {
  const localEndpoint = { serviceName, ...(isIPv6(ip) ? { ipv6: ip } : { ipv4: ip }) };
  return JSON.stringify(
    spans.map((span) => ({
      traceId: span.traceId,
      ...(span.parentId === undefined ? {} : { parentId: span.parentId }),
      id: span.spanId,
      kind: "SERVER",
      name: span.name,
      // Whole microseconds; a duration of none would not be taken.
      timestamp: Math.round(span.startWallMs * 1000),
      duration: Math.max(1, Math.round(span.durationMs * 1000)),
      localEndpoint,
      ...(span.shared ? { shared: true } : {}),
      tags: Object.fromEntries(span.tags),
    })),
  );
}
