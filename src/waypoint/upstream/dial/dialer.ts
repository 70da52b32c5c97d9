/** From an endpoint to a connection: TCP or tunnel, then the PROXY header, then TLS. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import type { Clock } from "../../../shared/base/clock.ts";
import { describeError } from "../../../shared/base/errors.ts";
import { tunnelAsDuplex } from "../../../shared/hbone/duplex.ts";
import { portOf } from "../../../shared/hbone/flow.ts";
import { errorCode } from "../../../shared/hbone/http2/errors.ts";
import type { StreamEndpoint } from "../../../shared/hbone/tunnel.ts";
import { formatSocketAddress, type SocketAddress } from "../../../shared/net/authority.ts";
import { parseIp } from "../../../shared/net/ip.ts";
import type { UpstreamTls } from "../../model/upstream-transport.ts";
import type { Dial, Dialed, DialRequest } from "./dial.ts";
import { asUpstreamError, upstreamError } from "./failure.ts";
import { proxyHeader } from "./proxy-header.ts";
import type { Resolve, Resolved } from "./resolver.ts";
import type { UpstreamSecrets } from "./secrets.ts";
import { dialTcp, type TcpDeps } from "./tcp.ts";
import { originateTls, type TlsDial } from "./tls.ts";
import { TlsContexts } from "./tls-context.ts";
import type { Tunnels } from "./tunnels.ts";

export interface DialerDeps extends TcpDeps {
  readonly clock: Clock;
  readonly secrets: UpstreamSecrets;
  readonly tunnels: Tunnels;
  readonly resolve: Resolve;
}

/** What the reference prints where a connection starts at one of its internal listeners. */
const internalAddress = "envoy://internal_client_address/";

export function createDial(deps: DialerDeps): Dial {
  const contexts = new TlsContexts(deps.secrets);
  return (request, signal) => dialInTime(deps, contexts, request, signal);
}

async function dialInTime(
  deps: DialerDeps,
  contexts: TlsContexts,
  request: DialRequest,
  signal: AbortSignal,
): Promise<Dialed> {
  signal.throwIfAborted();
  const attempt = new AbortController();
  const onAbort = (): void => attempt.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const deadline = deps.clock.after(request.timeoutMs, () =>
    attempt.abort(upstreamError("connect-timeout", "")),
  );
  try {
    return await unlessAborted(dial(deps, contexts, request, attempt.signal), attempt.signal);
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw asUpstreamError(attempt.signal.aborted ? attempt.signal.reason : thrown);
  } finally {
    deadline.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

/** Not every step can be broken off (a question to DNS, a certificate on its way): what still comes about is closed. */
function unlessAborted(dialing: Promise<Dialed>, signal: AbortSignal): Promise<Dialed> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    dialing.then((dialed) => {
      signal.removeEventListener("abort", onAbort);
      if (signal.aborted) discard(dialed.stream);
      else resolve(dialed);
    }, reject);
  });
}

function discard(stream: StreamEndpoint): void {
  if (stream instanceof Socket) stream.destroy();
  else stream.reset(errorCode.cancel);
}

async function dial(
  deps: DialerDeps,
  contexts: TlsContexts,
  request: DialRequest,
  signal: AbortSignal,
): Promise<Dialed> {
  const { transport } = request;
  // Before anything is opened: without key material there is nothing to open it for.
  const context = transport.tls && (await contexts.context(transport.tls, signal));
  const base = await openBase(deps, request, signal);
  const { stream, localAddress } = base;
  if (transport.proxyProtocol !== undefined)
    write(stream, proxyHeader(transport.proxyProtocol, request.proxied));
  if (transport.tls === undefined || context === undefined) return base;
  const duplex: Duplex = stream instanceof Socket ? stream : tunnelAsDuplex(stream);
  const tls = await originateTls(duplex, tlsDial(transport.tls, request, context), signal);
  return { stream: tls, localAddress };
}

function write(stream: StreamEndpoint, bytes: Buffer): void {
  if (stream instanceof Socket) stream.write(bytes);
  else portOf(stream).takeUntouched(bytes, 0, bytes.length);
}

function tlsDial(tls: UpstreamTls, request: DialRequest, context: SecureContext): TlsDial {
  return {
    tls,
    context,
    serverName: tls.sni ?? request.serverName,
    checkName: request.checkName,
    alpn: tls.alpn.length > 0 ? tls.alpn : request.alpn,
  };
}

async function openBase(
  deps: DialerDeps,
  request: DialRequest,
  signal: AbortSignal,
): Promise<Dialed> {
  const { target } = request;
  switch (target.kind) {
    case "tcp":
      return openTcp(deps, request, [target.address, ...target.additional], signal);
    case "name": {
      const found = await resolved(deps, target.host);
      const addresses = found.map(({ ip }) => ({ ip, port: target.port }));
      return openTcp(deps, request, addresses, signal);
    }
    case "hbone": {
      const authority = formatSocketAddress(target.address);
      const stream = await deps.tunnels.open(target.tunnel, authority, [], signal);
      return { stream, localAddress: internalAddress };
    }
    case "double-hbone": {
      const stream = await deps.tunnels.openDouble(target.gateway, target.authority, signal);
      return { stream, localAddress: internalAddress };
    }
    case "internal":
      throw upstreamError("connect-failed", `there is no internal listener ${target.listener}`);
  }
}

async function resolved(deps: DialerDeps, host: string): Promise<readonly Resolved[]> {
  try {
    return await deps.resolve(host, "auto");
  } catch (thrown) {
    throw dnsFailure(host, thrown);
  }
}

function dnsFailure(host: string, thrown: unknown): Error {
  return upstreamError(
    "connect-failed",
    `dns resolution failure of ${host}: ${describeError(thrown)}`,
  );
}

async function openTcp(
  deps: DialerDeps,
  request: DialRequest,
  addresses: readonly SocketAddress[],
  signal: AbortSignal,
): Promise<Dialed> {
  const { timeoutMs, keepAlive } = request;
  const socket = await dialTcp(deps, { addresses, timeoutMs, keepAlive, signal });
  return { stream: socket, localAddress: localAddressOf(socket) };
}

function localAddressOf({ localAddress, localPort }: Socket): string | undefined {
  const ip = localAddress === undefined ? undefined : parseIp(localAddress);
  return ip === undefined || localPort === undefined
    ? undefined
    : formatSocketAddress({ ip, port: localPort });
}
