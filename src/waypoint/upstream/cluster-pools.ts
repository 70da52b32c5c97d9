/** Which pool of an endpoint a request belongs to, and how that pool opens its connections. */
import type { Clock } from "../../shared/base/clock.ts";
import { parseAuthority, type SocketAddress } from "../../shared/net/authority.ts";
import { parseIp } from "../../shared/net/ip.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { ClusterConfig } from "../model/cluster.ts";
import type { TransportConfig } from "../model/upstream-transport.ts";
import type { Dial, DialRequest } from "./dial/dial.ts";
import type { Breakers } from "./health/breakers.ts";
import type { LiveEndpoint } from "./live-endpoint.ts";
import type { OpenCodec, WireProtocol } from "./pool/codecs.ts";
import { HttpPool, type PoolObserver } from "./pool/http-pool.ts";
import type { PickFacts } from "./upstream.ts";

export interface PoolsDeps {
  readonly clock: Clock;
  readonly dial: Dial;
  readonly openCodec: OpenCodec;
}

export function protocolOf(config: ClusterConfig, facts: PickFacts): WireProtocol {
  const { protocol } = config.http;
  if (protocol !== "downstream") return protocol;
  return facts.downstreamProtocol === "HTTP/2" ? "http2" : "http1";
}

/** The labelled one that fits first, as on `outbound|..` clusters; else the cluster's own. */
export function transportFor(config: ClusterConfig, endpoint: LiveEndpoint): TransportConfig {
  if (config.transportMatches.length === 0) return config.transport;
  const has = endpoint.config.transportMatch;
  const match = config.transportMatches.find(({ labels }) =>
    [...labels].every(([key, value]) => has.get(key) === value),
  );
  return match?.transport ?? config.transport;
}

/** What the connection is told that differs between requests; whoever shares a connection shares it. */
interface Peculiar {
  readonly key: string;
  readonly serverName: string | undefined;
  readonly proxied: DialRequest["proxied"];
}

const common: Peculiar = { key: "", serverName: undefined, proxied: undefined };

function peculiarOf(
  config: ClusterConfig,
  transport: TransportConfig,
  authority: string | undefined,
  downstream: DownstreamInfo,
): Peculiar {
  const named = config.http.autoSni && transport.tls !== undefined;
  if (!named && transport.proxyProtocol === undefined) return common;
  const serverName = named ? hostOf(authority) : undefined;
  const proxied = transport.proxyProtocol === undefined ? undefined : proxiedBy(downstream);
  const from = proxied === undefined ? "" : JSON.stringify(proxied);
  return { key: ` ${serverName ?? ""} ${from}`, serverName, proxied };
}

function hostOf(authority: string | undefined): string | undefined {
  if (authority === undefined || authority === "") return undefined;
  const parsed = parseAuthority(authority) ?? parseAuthority(`${authority}:443`);
  return parsed?.kind === "address" ? parsed.address.ip : parsed?.host;
}

function proxiedBy({ source, destination }: DownstreamInfo): DialRequest["proxied"] {
  const [from, to] = [addressOf(source), addressOf(destination)];
  return from === undefined || to === undefined ? undefined : { source: from, destination: to };
}

function addressOf(address: {
  readonly ip: string;
  readonly port: number;
}): SocketAddress | undefined {
  const ip = parseIp(address.ip);
  return ip === undefined ? undefined : { ip, port: address.port };
}

export function dialRequest(
  config: ClusterConfig,
  endpoint: LiveEndpoint,
  facts: PickFacts,
  alpn: readonly string[],
): DialRequest & { readonly key: string } {
  const transport = transportFor(config, endpoint);
  const { key, serverName, proxied } = peculiarOf(
    config,
    transport,
    facts.authority,
    facts.downstream,
  );
  return {
    key,
    target: endpoint.config.target,
    transport,
    keepAlive: config.keepAlive,
    timeoutMs: config.connectTimeoutMs,
    serverName,
    checkName: config.http.autoSanValidation,
    proxied,
    alpn,
  };
}

const alpnOf = { http1: ["http/1.1"], http2: ["h2"] } as const;

/** Whether all requests of a protocol share one pool, so that nothing has to be looked at for each. */
export function isShared({ http, transport, transportMatches }: ClusterConfig): boolean {
  return !http.autoSni && transport.proxyProtocol === undefined && transportMatches.length === 0;
}

export function poolFor(
  config: ClusterConfig,
  shared: boolean,
  endpoint: LiveEndpoint,
  facts: PickFacts,
  deps: PoolsDeps & { readonly breakers: Breakers; readonly observer: PoolObserver },
): HttpPool {
  const protocol = protocolOf(config, facts);
  if (shared) {
    const pool = endpoint.pools.get(protocol);
    if (pool !== undefined) return pool;
  }
  const request = dialRequest(config, endpoint, facts, alpnOf[protocol]);
  const key = `${protocol}${request.key}`;
  const known = endpoint.pools.get(key);
  if (known !== undefined) return known;
  const { clock, dial, openCodec, breakers, observer } = deps;
  const pool = new HttpPool({
    clock,
    protocol,
    settings: config.http,
    breakers,
    openCodec,
    dial: (signal) => dial(request, signal),
    observer,
  });
  // An endpoint that has gone serves those who still hold it, and is then forgotten with its connections.
  if (endpoint.gone) queueMicrotask(() => pool.drain());
  else endpoint.pools.set(key, pool);
  return pool;
}
