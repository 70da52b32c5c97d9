/**
 * What a connection manager does to a request's fields before anything looks at them (Envoy's
 * ConnectionManagerUtility::mutateRequestHeaders).
 */
import type { Fields, RequestHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { HttpSettings } from "../model/chain.ts";
import { isInternal } from "./internal.ts";

/** Instructions to the proxy, which only a request from inside may give. */
const internalOnly: ReadonlySet<string> = new Set([
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-force-trace",
  "x-envoy-ip-tags",
  "x-envoy-original-url",
]);

/** Of a proxy at the edge, where the connection's address is the client's. */
const edgeOnly: ReadonlySet<string> = new Set([
  "x-envoy-decorator-operation",
  "x-envoy-downstream-service-cluster",
  "x-envoy-downstream-service-node",
]);

/**
 * Written anew by every hop, or for this hop alone. What the last three ask for (other names in statistics, 204 instead of
 * 504, a second attempt beside a slow one) is not done here.
 */
const neverPassed: ReadonlySet<string> = new Set([
  "x-envoy-internal",
  "x-envoy-upstream-alt-stat-name",
  "x-envoy-upstream-rq-timeout-alt-response",
  "x-envoy-hedge-on-per-try-timeout",
]);

/** Who sends the request, as far as its fields are concerned. */
type Origin = "internal" | "outside" | "edge";

export function prepareRequest(
  head: RequestHead,
  settings: HttpSettings,
  downstream: DownstreamInfo,
): void {
  const { fields } = head;
  const { flat } = fields;
  const origin = originOf(head, settings, downstream);
  let to = 0;
  let hasForwardedProto = false;
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (name === "x-forwarded-proto") hasForwardedProto = true;
    else if (isStripped(name, flat[at + 1] ?? "", settings, origin)) continue;
    if (to !== at) {
      flat[to] = name;
      flat[to + 1] = flat[at + 1] ?? "";
    }
    to += 2;
  }
  flat.length = to;
  if (settings.forwardClientCert !== "sanitize") applyClientCert(head, settings, downstream);
  if (!hasForwardedProto) fields.append("x-forwarded-proto", head.scheme);
  if (origin === "internal") fields.append("x-envoy-internal", "true");
  if (settings.useRemoteAddress) tellRemote(fields, settings, downstream, origin);
  if (settings.appendXForwardedPort) tellPort(fields, downstream);
}

function tellPort(fields: Fields, { destination }: DownstreamInfo): void {
  if (!fields.has("x-forwarded-port")) fields.append("x-forwarded-port", String(destination.port));
}

function originOf(head: RequestHead, settings: HttpSettings, downstream: DownstreamInfo): Origin {
  if (isInternal(head, settings, downstream)) return "internal";
  return settings.useRemoteAddress ? "edge" : "outside";
}

function isStripped(name: string, value: string, settings: HttpSettings, origin: Origin): boolean {
  if (name.charCodeAt(0) === 0x78) {
    if (name.startsWith("x-envoy-"))
      return (
        neverPassed.has(name) ||
        (origin !== "internal" && internalOnly.has(name)) ||
        (origin === "edge" && edgeOnly.has(name))
      );
    return name === "x-forwarded-client-cert" && settings.forwardClientCert === "sanitize";
  }
  return name === "referer" && !absoluteUrl.test(value);
}

/** What comes next shall know the client by this connection. */
function tellRemote(
  fields: Fields,
  settings: HttpSettings,
  { source }: DownstreamInfo,
  origin: Origin,
): void {
  if (origin === "edge") fields.set("x-envoy-external-address", source.ip);
  fields.set("x-forwarded-proto", "http");
  if (settings.skipXffAppend) return;
  const known = fields.joined("x-forwarded-for");
  fields.set(
    "x-forwarded-for",
    known === undefined || known === "" ? source.ip : `${known},${source.ip}`,
  );
}

/** Envoy drops a Referer that is not an absolute URL. */
const absoluteUrl = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]/;

/** The inner connection of a waypoint has no certificate of its own: only "always forward" leaves the field in place. */
function applyClientCert(
  head: RequestHead,
  settings: HttpSettings,
  _downstream: DownstreamInfo,
): void {
  if (settings.forwardClientCert !== "always-forward-only")
    head.fields.remove("x-forwarded-client-cert");
}
