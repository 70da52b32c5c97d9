/**
 * What a connection manager does to a request's fields before anything looks at them (Envoy's
 * ConnectionManagerUtility::mutateRequestHeaders with use_remote_address off, as on every waypoint).
 */
import type { RequestHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { HttpSettings } from "../model/chain.ts";

/** Instructions to the proxy, which only a request from inside may give. */
const internalOnly: ReadonlySet<string> = new Set([
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-upstream-alt-stat-name",
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-upstream-rq-timeout-alt-response",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-force-trace",
  "x-envoy-ip-tags",
  "x-envoy-original-url",
  "x-envoy-hedge-on-per-try-timeout",
]);

/** Written anew by every hop. */
const rewritten = "x-envoy-internal";

export function prepareRequest(
  head: RequestHead,
  settings: HttpSettings,
  downstream: DownstreamInfo,
): void {
  const { fields } = head;
  const { flat } = fields;
  let to = 0;
  let hasForwardedProto = false;
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (name === "x-forwarded-proto") hasForwardedProto = true;
    else if (isStripped(name, flat[at + 1] ?? "", settings)) continue;
    if (to !== at) {
      flat[to] = name;
      flat[to + 1] = flat[at + 1] ?? "";
    }
    to += 2;
  }
  flat.length = to;
  if (settings.forwardClientCert !== "sanitize") applyClientCert(head, settings, downstream);
  if (!hasForwardedProto) fields.append("x-forwarded-proto", head.scheme);
  if (settings.appendXForwardedPort && !fields.has("x-forwarded-port"))
    fields.append("x-forwarded-port", String(downstream.destination.port));
}

function isStripped(name: string, value: string, settings: HttpSettings): boolean {
  if (name.charCodeAt(0) === 0x78) {
    if (name.startsWith("x-envoy-")) return internalOnly.has(name) || name === rewritten;
    return name === "x-forwarded-client-cert" && settings.forwardClientCert === "sanitize";
  }
  return name === "referer" && !absoluteUrl.test(value);
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
