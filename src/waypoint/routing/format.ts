/** Values of header mutations with Envoy's operators: evaluated here, split and checked by compile/format.ts. */
import type { HttpProtocol, RequestHead, ResponseHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { FormatOperator, HeaderFormat } from "../model/route.ts";
import { formatStartTime } from "./format-time.ts";
import { type Metadata, metadataAt } from "./match.ts";
import { pathOnly } from "./select.ts";

/** What operators may read. Fields that are not known yet are undefined and print nothing. */
export interface FormatFacts {
  readonly downstream: DownstreamInfo;
  readonly protocol: HttpProtocol;
  readonly request: RequestHead;
  readonly response: ResponseHead | undefined;
  readonly startWallMs: number;
  readonly metadata: Metadata;
  readonly routeName: string | undefined;
  readonly upstream: FormatUpstream | undefined;
}

export interface FormatUpstream {
  readonly cluster: string;
  /** As Envoy prints UPSTREAM_HOST. */
  readonly hostText: string | undefined;
  readonly localAddress: string | undefined;
}

/** A missing value prints as nothing: header formats omit empty values, unlike access logs. */
export function formatHeader(format: HeaderFormat, facts: FormatFacts): string {
  const { parts } = format;
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return part(only, facts);
  let out = "";
  for (const one of parts) out += part(one, facts);
  return out;
}

function part(one: string | FormatOperator, facts: FormatFacts): string {
  if (typeof one === "string") return one;
  const value = operators[one.operator]?.(facts, one.arguments) ?? "";
  return one.maxLength === undefined ? value : value.slice(0, one.maxLength);
}

type Operator = (facts: FormatFacts, args: readonly string[]) => string | undefined;

function address({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function requestHeader({ request }: FormatFacts, name: string): string | undefined {
  switch (name) {
    case ":method":
      return request.method;
    case ":path":
      return request.path;
    case ":authority":
    case "host":
      return request.authority;
    case ":scheme":
      return request.scheme;
    default:
      return request.fields.get(name);
  }
}

function firstOf(
  names: readonly string[],
  read: (name: string) => string | undefined,
): string | undefined {
  for (const name of names) {
    const value = read(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

const source: Operator = ({ downstream }) => address(downstream.source);
const sourceIp: Operator = ({ downstream }) => downstream.source.ip;
const sourcePort: Operator = ({ downstream }) => String(downstream.source.port);

/** Filter state that the reference's own listeners set (wire/waypoint.md section 3.2). */
const filterState: Readonly<Record<string, (facts: FormatFacts) => string | undefined>> = {
  "io.istio.peer_principal": ({ downstream }) => downstream.peerPrincipal,
  "io.istio.local_principal": ({ downstream }) => downstream.localPrincipal,
  "io.istio.connect_authority": ({ downstream }) => downstream.connectAuthority,
  "envoy.filters.listener.original_dst.local_ip": ({ downstream }) =>
    address(downstream.destination),
  "envoy.filters.listener.original_dst.remote_ip": ({ downstream }) => address(downstream.source),
};

export function isFilterState(key: string): boolean {
  return Object.hasOwn(filterState, key);
}

/** By name; compile/format.ts refuses what is not here. */
const operators: Readonly<Record<string, Operator>> = {
  REQ: (facts, names) => firstOf(names, (name) => requestHeader(facts, name)),
  REQ_WITHOUT_QUERY: (facts, names) => {
    const value = firstOf(names, (name) => requestHeader(facts, name));
    return value === undefined ? undefined : pathOnly(value);
  },
  RESP: ({ response }, names) =>
    firstOf(names, (name) =>
      name === ":status" ? response?.status.toString() : response?.fields.get(name),
    ),
  PROTOCOL: ({ protocol }) => protocol,
  RESPONSE_CODE: ({ response }) => response?.status.toString(),
  START_TIME: ({ startWallMs }, [format]) => formatStartTime(startWallMs, format),
  DOWNSTREAM_REMOTE_ADDRESS: source,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: sourceIp,
  DOWNSTREAM_REMOTE_PORT: sourcePort,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: source,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: sourceIp,
  DOWNSTREAM_DIRECT_REMOTE_PORT: sourcePort,
  DOWNSTREAM_LOCAL_ADDRESS: ({ downstream }) => address(downstream.destination),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: ({ downstream }) => downstream.destination.ip,
  DOWNSTREAM_LOCAL_PORT: ({ downstream }) => String(downstream.destination.port),
  // The inner connection of a waypoint is not TLS: identities are filter state.
  DOWNSTREAM_PEER_URI_SAN: () => undefined,
  DOWNSTREAM_LOCAL_URI_SAN: () => undefined,
  DOWNSTREAM_PEER_SUBJECT: () => undefined,
  DOWNSTREAM_TLS_VERSION: () => undefined,
  DOWNSTREAM_TLS_CIPHER: () => undefined,
  REQUESTED_SERVER_NAME: ({ downstream }) => downstream.requestedServerName,
  CONNECTION_ID: ({ downstream }) => String(downstream.connectionId),
  ROUTE_NAME: ({ routeName }) => routeName,
  UPSTREAM_CLUSTER: ({ upstream }) => upstream?.cluster,
  UPSTREAM_HOST: ({ upstream }) => upstream?.hostText,
  UPSTREAM_REMOTE_ADDRESS: ({ upstream }) => upstream?.hostText,
  UPSTREAM_LOCAL_ADDRESS: ({ upstream }) => upstream?.localAddress,
  FILTER_STATE: (facts, [key = ""]) => filterState[key]?.(facts),
  DYNAMIC_METADATA: metadata,
};

export function isOperator(name: string): boolean {
  return Object.hasOwn(operators, name);
}

function metadata({ metadata }: FormatFacts, [filter = "", ...path]: readonly string[]) {
  const value = metadataAt(metadata, filter, path);
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}
