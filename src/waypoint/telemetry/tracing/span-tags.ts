/** What every span says of its request: Envoy's tags, then those of the configuration. */
import { addressText } from "../cel/attributes.ts";
import type { TracingConfig } from "../config.ts";
import { grpcStatusOf, isGrpc } from "../grpc-status.ts";
import { printFormat } from "../log/format.ts";
import { headerText } from "../log/operator-kinds.ts";
import type { HttpRecord, StreamRecord } from "../record.ts";
import { shortFlags } from "../response-flags.ts";
import type { SpanTag } from "./span.ts";
import type { CustomTag } from "./tags.ts";

function urlOf({ request }: HttpRecord, maxPathLength: number): string {
  const { fields, authority, path } = request;
  const original = fields.get("x-envoy-original-path") ?? path;
  const scheme = fields.get("x-forwarded-proto") ?? request.scheme;
  return headerText(`${scheme}://${authority}${original.slice(0, maxPathLength)}`) ?? "";
}

function requestTags(http: HttpRecord, record: StreamRecord, maxPathLength: number): SpanTag[] {
  const { fields, method } = http.request;
  const tags: SpanTag[] = [];
  const add = (key: string, value: string | undefined): void => {
    if (value !== undefined) tags.push([key, headerText(value) ?? ""]);
  };
  add("guid:x-request-id", fields.get("x-request-id"));
  add("http.url", urlOf(http, maxPathLength));
  add("http.method", method);
  add("downstream_cluster", fields.get("x-envoy-downstream-service-cluster") ?? "-");
  add("user_agent", fields.get("user-agent") ?? "-");
  add("http.protocol", http.protocol);
  add("peer.address", record.downstream.source.ip);
  add("guid:x-client-trace-id", fields.get("x-client-trace-id"));
  if (isGrpc(http)) {
    add("grpc.path", http.request.path);
    add("grpc.authority", http.request.authority);
    add("grpc.content_type", fields.get("content-type"));
    add("grpc.timeout", fields.get("grpc-timeout"));
  }
  return tags;
}

function answerTags(http: HttpRecord): SpanTag[] {
  if (!isGrpc(http)) return [];
  const status = grpcStatusOf(http);
  const message = http.trailers?.get("grpc-message") ?? http.responseFields?.get("grpc-message");
  const tags: SpanTag[] = [];
  if (status !== undefined) tags.push(["grpc.status_code", String(status)]);
  if (message !== undefined) tags.push(["grpc.message", headerText(message) ?? ""]);
  return tags;
}

/** Of failures of our own as well: no answer counts as one. */
export function hasFailed({ http }: StreamRecord): boolean {
  return http === undefined || http.status === 0 || http.status >= 500;
}

export function spanTags(config: TracingConfig, record: StreamRecord): readonly SpanTag[] {
  const { http, upstream } = record;
  const tags: SpanTag[] =
    http === undefined ? [] : requestTags(http, record, config.maxPathTagLength);
  tags.push(["request_size", String(record.bytesReceived)]);
  tags.push(["response_size", String(record.bytesSent)]);
  tags.push(["component", "proxy"]);
  if (upstream !== undefined) {
    tags.push(["upstream_cluster", upstream.cluster]);
    tags.push(["upstream_cluster.name", upstream.statName ?? upstream.cluster]);
    if (upstream.address !== undefined) tags.push(["upstream_address", upstream.address]);
  }
  tags.push(["http.status_code", String(http?.status ?? 0)]);
  tags.push(["response_flags", shortFlags(record.flags)]);
  if (hasFailed(record)) tags.push(["error", "true"]);
  if (http !== undefined) tags.push(...answerTags(http));
  for (const tag of config.customTags) {
    const value = customValue(tag, record);
    if (value !== undefined && value !== "") tags.push([tag.tag, value]);
  }
  return tags;
}

function customValue(tag: CustomTag, record: StreamRecord): string | undefined {
  switch (tag.kind) {
    case "value":
      return tag.value;
    case "header":
      return headerText(headerOf(record, tag.name)) ?? tag.fallback;
    case "format":
      return printFormat(tag.format, record, "");
    case "metadata":
      return metadataText(tag, record) ?? tag.fallback;
  }
}

function headerOf({ http }: StreamRecord, name: string): string | undefined {
  if (name === ":authority" || name === "host") return http?.request.authority;
  if (name === ":path") return http?.request.path;
  return name === ":method" ? http?.request.method : http?.request.fields.get(name);
}

/** Of routes and clusters no metadata is kept but what names the service. */
function metadataText(
  tag: CustomTag & { readonly kind: "metadata" },
  { metadata, upstream, downstream }: StreamRecord,
): string | undefined {
  let value: unknown;
  if (tag.from === "request") value = metadata.get(tag.filter);
  else if (tag.from === "cluster" && tag.filter === "istio" && upstream?.service !== undefined)
    value = { services: [upstream.service] };
  else if (tag.from === "host" && tag.filter === "envoy.filters.listener.original_dst")
    value = { local: upstream?.address ?? addressText(downstream.destination) };
  for (const key of tag.path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}
