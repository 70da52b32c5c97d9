/**
 * Which fields of a general message go into the peer's HPACK table: those that repeat on a connection. Values that differ
 * on each message would only push the others out; secrets are kept out by everybody on the way.
 */
import type { Indexing } from "../../../shared/hbone/hpack/encoder.ts";

const changing: ReadonlySet<string> = new Set(
  (
    ":path age content-length content-range date etag expires if-match if-modified-since if-none-match " +
    "if-range last-modified location range set-cookie x-request-id traceparent tracestate b3 x-b3-traceid x-b3-spanid " +
    "x-b3-parentspanid x-b3-sampled x-envoy-upstream-service-time x-envoy-expected-rq-timeout-ms " +
    "x-forwarded-for forwarded grpc-timeout sec-websocket-key sec-websocket-accept"
  ).split(" "),
);

const secret: ReadonlySet<string> = new Set(["authorization", "proxy-authorization"]);

/** A short cookie is guessed in few tries. */
const shortCookieBytes = 20;
/** Larger values seldom repeat and empty the table. */
const longValueBytes = 512;

export const messageIndexing: Indexing = (name, value) => {
  if (secret.has(name)) return "never";
  if (name === "cookie" && value.length < shortCookieBytes) return "never";
  if (value.length > longValueBytes || changing.has(name)) return "plain";
  return "remember";
};
