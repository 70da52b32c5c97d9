/** What a stream's record gives to expressions, under Envoy's names; computed when asked for. */
import type { Fields } from "../../http/message.ts";
import { grpcStatusOf } from "../grpc-status.ts";
import { peerField, peerStructure } from "../peer.ts";
import type { HttpRecord, PeerWorkload, StreamRecord } from "../record.ts";
import { flagBits } from "../response-flags.ts";
import { CelDuration, CelMap, CelTimestamp, type CelValue, FieldMap, fromJson } from "./value.ts";

const encoder = new TextEncoder();

type Attribute = (record: StreamRecord) => CelValue | undefined;
type Group = Readonly<Record<string, Attribute>>;

/** Headers by lower-case name; several of one name are joined. */
class HeaderMap extends CelMap {
  readonly #fields: Fields | undefined;
  readonly #pseudo: ((name: string) => string | undefined) | undefined;

  constructor(fields: Fields | undefined, pseudo?: (name: string) => string | undefined) {
    super();
    this.#fields = fields;
    this.#pseudo = pseudo;
  }

  override get(key: CelValue): CelValue | undefined {
    if (typeof key !== "string") return undefined;
    return key.startsWith(":") ? this.#pseudo?.(key) : this.#fields?.joined(key.toLowerCase());
  }

  override keys(): readonly CelValue[] {
    const flat = this.#fields?.flat ?? [];
    return [...new Set(flat.filter((_, index) => index % 2 === 0))];
  }
}

function fromRequest(read: (http: HttpRecord) => CelValue | undefined): Attribute {
  return ({ http }) => (http === undefined ? undefined : read(http));
}

function requestHeader(name: string): Attribute {
  return fromRequest((http) => http.request.fields.get(name));
}

function bytesOf(fields: Fields | undefined): number {
  let bytes = 0;
  for (const text of fields?.flat ?? []) bytes += text.length;
  return bytes;
}

function headBytes({ request }: HttpRecord): number {
  const { method, scheme, authority, path, fields } = request;
  const pseudo = ":method:scheme:authority:path".length;
  return bytesOf(fields) + pseudo + method.length + scheme.length + authority.length + path.length;
}

export function pseudoHeader({ request }: HttpRecord, name: string): string | undefined {
  switch (name) {
    case ":method":
      return request.method;
    case ":authority":
      return request.authority;
    case ":path":
      return request.path;
    case ":scheme":
      return request.scheme;
    default:
      return undefined;
  }
}

/** As the content length says, else what came. */
const requestSize: Attribute = ({ http, bytesReceived }) => {
  const length = http?.request.fields.get("content-length");
  if (length === undefined) return BigInt(bytesReceived);
  return /^\d+$/.test(length) ? BigInt(length) : undefined;
};

const request: Group = {
  path: fromRequest((http) => http.request.path),
  url_path: fromRequest((http) => http.request.path.split("?", 1)[0]),
  host: fromRequest((http) => http.request.authority),
  scheme: fromRequest((http) => http.request.scheme),
  method: fromRequest((http) => http.request.method),
  headers: ({ http }) =>
    new HeaderMap(http?.request.fields, http && ((name) => pseudoHeader(http, name))),
  headers_bytes: ({ http }) => BigInt(http === undefined ? 0 : headBytes(http)),
  referer: requestHeader("referer"),
  useragent: requestHeader("user-agent"),
  id: requestHeader("x-request-id"),
  time: ({ startWallMs }) => new CelTimestamp(startWallMs),
  protocol: fromRequest((http) => http.protocol),
  query: fromRequest((http) => queryOf(http.request.path)),
  duration: ({ durationMs }) => new CelDuration(durationMs),
  size: requestSize,
  total_size: ({ http, bytesReceived }) =>
    BigInt(bytesReceived + (http === undefined ? 0 : headBytes(http))),
};

function queryOf(path: string): string {
  const start = path.indexOf("?");
  return start < 0 ? "" : (path.slice(start + 1).split("#", 1)[0] ?? "");
}

const response: Group = {
  code: ({ http }) => (http === undefined || http.status === 0 ? undefined : BigInt(http.status)),
  code_details: ({ details }) => details,
  flags: ({ flags }) => flagBits(flags),
  grpc_status: fromRequest((http) => {
    const status = grpcStatusOf(http);
    return status === undefined ? undefined : BigInt(status);
  }),
  headers: ({ http }) => new HeaderMap(http?.responseFields),
  headers_bytes: ({ http }) => BigInt(bytesOf(http?.responseFields)),
  trailers: ({ http }) => new HeaderMap(http?.trailers),
  size: ({ bytesSent }) => BigInt(bytesSent),
  total_size: ({ bytesSent, http }) =>
    BigInt(bytesSent + bytesOf(http?.responseFields) + bytesOf(http?.trailers)),
  backend_latency: ({ upstream }) =>
    upstream?.serviceTimeMs === undefined ? undefined : new CelDuration(upstream.serviceTimeMs),
};

/** IPv6 in brackets. */
export function addressText({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

const source: Group = {
  address: ({ downstream }) => addressText(downstream.source),
  port: ({ downstream }) => BigInt(downstream.source.port),
};

const destination: Group = {
  address: ({ downstream }) => addressText(downstream.destination),
  port: ({ downstream }) => BigInt(downstream.destination.port),
};

/** The tunnel's TLS stands for the connection's: inside it there is none. */
const connection: Group = {
  mtls: ({ downstream }) => downstream.peerPrincipal !== undefined,
  requested_server_name: ({ downstream }) => downstream.requestedServerName ?? "",
  id: ({ downstream }) => BigInt(downstream.connectionId),
  termination_details: (record) => record.connectionTerminationDetails,
  uri_san_peer_certificate: ({ downstream }) => downstream.peerPrincipal,
  uri_san_local_certificate: ({ downstream }) => downstream.localPrincipal,
};

const upstream: Group = {
  address: ({ upstream: to }) => to?.hostText ?? to?.address,
  port: ({ upstream: to }) => {
    const port = /:(\d+)$/.exec(to?.address ?? "")?.[1];
    return port === undefined ? undefined : BigInt(port);
  },
  local_address: ({ upstream: to }) => to?.localAddress,
  transport_failure_reason: ({ upstream: to }) => to && (to.failureReason ?? ""),
  request_attempt_count: ({ upstream: to }) => BigInt(to?.attempts ?? 0),
};

const xds: Group = {
  cluster_name: ({ upstream: to }) => to?.cluster,
  cluster_metadata: ({ upstream: to }) =>
    to?.service && fromJson({ filter_metadata: { istio: { services: [to.service] } } }),
  route_name: ({ routeName, http }) => (http === undefined ? undefined : (routeName ?? "")),
  filter_chain_name: ({ chain }) => chain,
  // INBOUND: a waypoint has no others.
  listener_direction: () => 1n,
};

/** `metadata.filter_metadata["envoy.filters.http.rbac"]["key"]`. */
function metadata(record: StreamRecord): CelValue {
  const filters = new FieldMap((name) => fromJson(record.metadata.get(name)));
  return new FieldMap((name) => (name === "filter_metadata" ? filters : undefined));
}

function peerObject(peer: PeerWorkload | undefined): CelValue | undefined {
  return peer && new FieldMap((name) => peerField(name)?.(peer));
}

/** Text comes as bytes, as Envoy has it: string(...) makes it comparable. */
function textState(text: string | undefined): CelValue | undefined {
  return text === undefined ? undefined : encoder.encode(text);
}

function filterState(record: StreamRecord, key: string): CelValue | undefined {
  const { downstream, source: client, upstream: to } = record;
  switch (key) {
    case "downstream_peer":
      return client && fromJson(peerStructure(client));
    case "upstream_peer":
      return to?.peer && fromJson(peerStructure(to.peer));
    case "downstream_peer_obj":
      return peerObject(client);
    case "upstream_peer_obj":
      return peerObject(to?.peer);
    default:
      return textState(filterStateText(downstream, key));
  }
}

/** The fixed keys that the reference's tunnel listener sets (wire/waypoint.md section 3.2). */
export function filterStateText(
  downstream: StreamRecord["downstream"],
  key: string,
): string | undefined {
  switch (key) {
    case "io.istio.peer_principal":
      return downstream.peerPrincipal;
    case "io.istio.local_principal":
      return downstream.localPrincipal;
    case "io.istio.connect_authority":
      return downstream.connectAuthority;
    case "envoy.filters.listener.original_dst.local_ip":
      return addressText(downstream.destination);
    case "envoy.filters.listener.original_dst.remote_ip":
      return addressText(downstream.source);
    default:
      return undefined;
  }
}

const groups: Readonly<Record<string, Group>> = {
  request,
  response,
  source,
  destination,
  connection,
  upstream,
  xds,
};

/** Names that expressions start from. */
export const rootNames: ReadonlySet<string> = new Set([
  ...Object.keys(groups),
  "metadata",
  "filter_state",
]);

export function rootValue(record: StreamRecord, name: string): CelValue | undefined {
  if (name === "metadata") return metadata(record);
  if (name === "filter_state") return new FieldMap((key) => filterState(record, key));
  const group = Object.hasOwn(groups, name) ? groups[name] : undefined;
  if (group === undefined) return undefined;
  return new FieldMap((key) => (Object.hasOwn(group, key) ? group[key]?.(record) : undefined));
}

/** The attribute itself, without the group around it; undefined when the group has none of this name. */
export function attributeOf(group: string, name: string): Attribute | undefined {
  const found = Object.hasOwn(groups, group) ? groups[group] : undefined;
  return found !== undefined && Object.hasOwn(found, name) ? found[name] : undefined;
}
