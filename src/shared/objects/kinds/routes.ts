/** Routes of the Gateway API and the grants that let them name what is in another namespace. */
import {
  anything,
  boolean,
  defaulted,
  type Infer,
  integer,
  list,
  object,
  oneOf,
  optional,
  port,
  required,
  string,
} from "../schema.ts";
import { duration, MAX_INT32 } from "./scalars.ts";

const strings = list(string);

const parentRef = object({
  group: defaulted(string, "gateway.networking.k8s.io"),
  kind: defaulted(string, "Gateway"),
  namespace: optional(string),
  name: required(string),
  sectionName: optional(string),
  port: optional(port),
});

const backendObject = {
  group: defaulted(string, ""),
  kind: defaulted(string, "Service"),
  name: required(string),
  namespace: optional(string),
  port: optional(port),
};

const backendReference = object(backendObject);
const weight = defaulted(integer(0, 1_000_000), 1);
const plainBackend = object({ ...backendObject, weight });

const headerValue = object({ name: required(string), value: required(string) });

const headerModifier = object({
  set: defaulted(list(headerValue), []),
  add: defaulted(list(headerValue), []),
  remove: defaulted(strings, []),
});

const pathModifier = object({
  type: required(oneOf("ReplaceFullPath", "ReplacePrefixMatch")),
  replaceFullPath: optional(string),
  replacePrefixMatch: optional(string),
});

const requestRedirect = object({
  scheme: optional(string),
  hostname: optional(string),
  path: optional(pathModifier),
  port: optional(port),
  statusCode: optional(integer(300, 399)),
});

const mirror = object({
  backendRef: required(backendReference),
  percent: optional(integer(0, 100)),
  fraction: optional(
    object({
      numerator: required(integer(0, MAX_INT32)),
      denominator: defaulted(integer(1, MAX_INT32), 100),
    }),
  ),
});

const cors = object({
  allowOrigins: defaulted(strings, []),
  allowCredentials: optional(boolean),
  allowMethods: defaulted(strings, []),
  allowHeaders: defaulted(strings, []),
  exposeHeaders: defaulted(strings, []),
  maxAge: optional(integer(1, MAX_INT32)),
});

const extensionRef = object({
  group: defaulted(string, ""),
  kind: required(string),
  name: required(string),
});

const httpFilter = object({
  type: required(
    oneOf(
      "RequestHeaderModifier",
      "ResponseHeaderModifier",
      "RequestMirror",
      "RequestRedirect",
      "URLRewrite",
      "ExtensionRef",
      "CORS",
      "ExternalAuth",
    ),
  ),
  requestHeaderModifier: optional(headerModifier),
  responseHeaderModifier: optional(headerModifier),
  requestMirror: optional(mirror),
  requestRedirect: optional(requestRedirect),
  urlRewrite: optional(object({ hostname: optional(string), path: optional(pathModifier) })),
  extensionRef: optional(extensionRef),
  cors: optional(cors),
  externalAuth: optional(anything),
});

const valueMatch = object({
  type: defaulted(oneOf("Exact", "RegularExpression"), "Exact"),
  name: required(string),
  value: required(string),
});

const defaultPath = { type: "PathPrefix", value: "/" } as const;

const httpMatch = object({
  path: defaulted(
    object({
      type: defaulted(oneOf("Exact", "PathPrefix", "RegularExpression"), "PathPrefix"),
      value: defaulted(string, "/"),
    }),
    defaultPath,
  ),
  headers: defaulted(list(valueMatch), []),
  queryParams: defaulted(list(valueMatch), []),
  method: optional(string),
});

const httpRule = object({
  name: optional(string),
  matches: defaulted(list(httpMatch), [{ path: defaultPath, headers: [], queryParams: [] }]),
  filters: defaulted(list(httpFilter), []),
  backendRefs: defaulted(
    list(object({ ...backendObject, weight, filters: defaulted(list(httpFilter), []) })),
    [],
  ),
  timeouts: optional(object({ request: optional(duration), backendRequest: optional(duration) })),
  retry: optional(
    object({
      codes: defaulted(list(integer(400, 599)), []),
      attempts: optional(integer(0, MAX_INT32)),
      backoff: optional(duration),
    }),
  ),
  sessionPersistence: optional(anything),
});

const grpcFilter = object({
  type: required(
    oneOf("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"),
  ),
  requestHeaderModifier: optional(headerModifier),
  responseHeaderModifier: optional(headerModifier),
  requestMirror: optional(mirror),
  extensionRef: optional(extensionRef),
});

const grpcMatch = object({
  method: optional(
    object({
      type: defaulted(oneOf("Exact", "RegularExpression"), "Exact"),
      service: optional(string),
      method: optional(string),
    }),
  ),
  headers: defaulted(list(valueMatch), []),
});

const grpcRule = object({
  name: optional(string),
  matches: defaulted(list(grpcMatch), []),
  filters: defaulted(list(grpcFilter), []),
  backendRefs: defaulted(
    list(object({ ...backendObject, weight, filters: defaulted(list(grpcFilter), []) })),
    [],
  ),
  sessionPersistence: optional(anything),
});

const l4Rule = object({
  name: optional(string),
  backendRefs: defaulted(list(plainBackend), []),
});

/** What every route has besides its rules. */
const common = {
  parentRefs: defaulted(list(parentRef), []),
  useDefaultGateways: optional(string),
};

const routeStatus = optional(anything);

export const httpRouteBody = object({
  spec: required(
    object({
      ...common,
      hostnames: defaulted(strings, []),
      rules: defaulted(list(httpRule), [
        {
          matches: [{ path: defaultPath, headers: [], queryParams: [] }],
          filters: [],
          backendRefs: [],
        },
      ]),
    }),
  ),
  status: routeStatus,
});

export const grpcRouteBody = object({
  spec: required(
    object({
      ...common,
      hostnames: defaulted(strings, []),
      rules: defaulted(list(grpcRule), []),
    }),
  ),
  status: routeStatus,
});

export const tlsRouteBody = object({
  spec: required(
    object({ ...common, hostnames: defaulted(strings, []), rules: defaulted(list(l4Rule), []) }),
  ),
  status: routeStatus,
});

export const tcpRouteBody = object({
  spec: required(object({ ...common, rules: defaulted(list(l4Rule), []) })),
  status: routeStatus,
});

export const referenceGrantBody = object({
  spec: required(
    object({
      from: defaulted(
        list(
          object({
            group: defaulted(string, ""),
            kind: required(string),
            namespace: required(string),
          }),
        ),
        [],
      ),
      to: defaulted(
        list(
          object({
            group: defaulted(string, ""),
            kind: required(string),
            name: optional(string),
          }),
        ),
        [],
      ),
    }),
  ),
});

export type ParentRef = Infer<typeof parentRef>;
export type BackendRef = Infer<typeof backendReference>;
export type HttpRule = Infer<typeof httpRule>;
export type HttpRouteMatch = Infer<typeof httpMatch>;
export type HttpFilter = Infer<typeof httpFilter>;
export type GrpcRouteMatch = Infer<typeof grpcMatch>;
export type L4Rule = Infer<typeof l4Rule>;
export type HeaderModifier = Infer<typeof headerModifier>;
export type MirrorFilter = Infer<typeof mirror>;
export type ValueMatch = Infer<typeof valueMatch>;
