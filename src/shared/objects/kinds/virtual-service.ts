/** VirtualService: how requests to a host are matched, changed and routed. Every served version has the same fields. */
import {
  boolean,
  defaulted,
  type Infer,
  integer,
  list,
  object,
  oneOf,
  optional,
  port,
  record,
  required,
  string,
} from "../schema.ts";
import { condition, labels } from "./core.ts";
import { duration, MAX_INT32, MAX_UINT32, number } from "./scalars.ts";

const strings = list(string);

/** Exactly one of them, or none at all, which asks for presence only. */
export const stringMatch = object({
  exact: optional(string),
  prefix: optional(string),
  regex: optional(string),
});

const percent = object({ value: defaulted(number(0, 100), 0) });

const portSelector = object({ number: required(port) });

export const destination = object({
  host: required(string),
  subset: optional(string),
  port: optional(portSelector),
});

const headerOperations = object({
  set: defaulted(labels, {}),
  add: defaulted(labels, {}),
  remove: defaulted(strings, []),
});

const headers = object({
  request: optional(headerOperations),
  response: optional(headerOperations),
});

const httpMatch = object({
  name: defaulted(string, ""),
  uri: optional(stringMatch),
  scheme: optional(stringMatch),
  method: optional(stringMatch),
  authority: optional(stringMatch),
  headers: defaulted(record(stringMatch), {}),
  withoutHeaders: defaulted(record(stringMatch), {}),
  queryParams: defaulted(record(stringMatch), {}),
  port: optional(integer(0, 65535)),
  sourceLabels: defaulted(labels, {}),
  sourceNamespace: defaulted(string, ""),
  gateways: defaulted(strings, []),
  ignoreUriCase: defaulted(boolean, false),
  statPrefix: defaulted(string, ""),
});

const httpDestination = object({
  destination: required(destination),
  weight: defaulted(integer(0, MAX_INT32), 0),
  headers: optional(headers),
});

const redirect = object({
  uri: defaulted(string, ""),
  authority: defaulted(string, ""),
  port: optional(integer(0, 65535)),
  derivePort: optional(oneOf("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")),
  scheme: defaulted(string, ""),
  prefixRewrite: defaulted(string, ""),
  redirectCode: defaulted(integer(0, 599), 0),
});

const directResponse = object({
  status: required(integer(100, 599)),
  body: optional(object({ string: optional(string), bytes: optional(string) })),
});

const rewrite = object({
  uri: optional(string),
  authority: optional(string),
  uriRegexRewrite: optional(
    object({ match: defaulted(string, ""), rewrite: defaulted(string, "") }),
  ),
});

export const httpRetry = object({
  attempts: defaulted(integer(0, MAX_INT32), 0),
  perTryTimeout: optional(duration),
  retryOn: optional(string),
  retryRemoteLocalities: optional(boolean),
  retryIgnorePreviousHosts: optional(boolean),
  backoff: optional(duration),
});

const fault = object({
  delay: optional(
    object({
      percent: defaulted(integer(0, 100), 0),
      percentage: optional(percent),
      fixedDelay: optional(duration),
      exponentialDelay: optional(duration),
    }),
  ),
  abort: optional(
    object({
      percentage: optional(percent),
      httpStatus: optional(integer(200, 599)),
      grpcStatus: optional(string),
      http2Error: optional(string),
    }),
  ),
});

const cors = object({
  allowOrigin: defaulted(strings, []),
  allowOrigins: defaulted(list(stringMatch), []),
  allowMethods: defaulted(strings, []),
  allowHeaders: defaulted(strings, []),
  exposeHeaders: defaulted(strings, []),
  maxAge: optional(duration),
  allowCredentials: optional(boolean),
  unmatchedPreflights: defaulted(oneOf("UNSPECIFIED", "FORWARD", "IGNORE"), "UNSPECIFIED"),
});

const httpRoute = object({
  name: defaulted(string, ""),
  match: defaulted(list(httpMatch), []),
  route: defaulted(list(httpDestination), []),
  redirect: optional(redirect),
  directResponse: optional(directResponse),
  delegate: optional(object({ name: required(string), namespace: optional(string) })),
  rewrite: optional(rewrite),
  timeout: optional(duration),
  retries: optional(httpRetry),
  fault: optional(fault),
  mirror: optional(destination),
  mirrorPercent: optional(integer(0, MAX_UINT32)),
  mirror_percent: optional(integer(0, MAX_UINT32)),
  mirrorPercentage: optional(percent),
  mirrors: defaulted(
    list(object({ destination: optional(destination), percentage: optional(percent) })),
    [],
  ),
  corsPolicy: optional(cors),
  headers: optional(headers),
});

const l4Match = {
  destinationSubnets: defaulted(strings, []),
  port: optional(integer(0, 65535)),
  sourceLabels: defaulted(labels, {}),
  sourceNamespace: defaulted(string, ""),
  gateways: defaulted(strings, []),
};

const l4Destination = object({
  destination: required(destination),
  weight: defaulted(integer(0, MAX_INT32), 0),
});

const tlsRoute = object({
  match: defaulted(list(object({ ...l4Match, sniHosts: defaulted(strings, []) })), []),
  route: defaulted(list(l4Destination), []),
});

const tcpRoute = object({
  match: defaulted(list(object({ ...l4Match, sourceSubnet: optional(string) })), []),
  route: defaulted(list(l4Destination), []),
});

const virtualServiceSpec = object({
  hosts: defaulted(strings, []),
  gateways: defaulted(strings, []),
  http: defaulted(list(httpRoute), []),
  tls: defaulted(list(tlsRoute), []),
  tcp: defaulted(list(tcpRoute), []),
  exportTo: defaulted(strings, []),
});

export const virtualServiceBody = object({
  spec: required(virtualServiceSpec),
  status: optional(object({ conditions: defaulted(list(condition), []) }, { open: true })),
});

export type VirtualServiceSpec = Infer<typeof virtualServiceSpec>;
export type StringMatch = Infer<typeof stringMatch>;
export type HttpRouteSpec = Infer<typeof httpRoute>;
export type HttpMatchSpec = Infer<typeof httpMatch>;
export type HttpDestinationSpec = Infer<typeof httpDestination>;
export type DestinationSpec = Infer<typeof destination>;
export type HeadersSpec = Infer<typeof headers>;
export type RetrySpec = Infer<typeof httpRetry>;
export type FaultSpec = Infer<typeof fault>;
export type CorsSpec = Infer<typeof cors>;
export type L4DestinationSpec = Infer<typeof l4Destination>;
