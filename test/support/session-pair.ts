/** Two sessions of ours over one TLS connection on loopback. */
import { type Clock, systemClock } from "../../src/shared/base/clock.ts";
import { openHboneClient } from "../../src/shared/hbone/client.ts";
import { serveHbone } from "../../src/shared/hbone/server.ts";
import {
  defaultHboneSettings,
  type HboneClientSession,
  type HboneServerSession,
  type HboneSettings,
  type IncomingTunnel,
} from "../../src/shared/hbone/tunnel.ts";
import { channelPair } from "./carriers.ts";

export interface SessionPair {
  readonly client: HboneClientSession;
  readonly server: HboneServerSession;
  /** Ends both and waits until their sockets have closed. */
  close(): Promise<void>;
}

export interface PairOptions {
  readonly client?: Partial<HboneSettings>;
  readonly server?: Partial<HboneSettings>;
  readonly clock?: Clock;
}

export async function sessionPair(
  onTunnel: (tunnel: IncomingTunnel) => void,
  options: PairOptions = {},
): Promise<SessionPair> {
  const tls = await channelPair();
  const clock = options.clock ?? systemClock;
  const serverSettings = { ...defaultHboneSettings("server"), ...options.server };
  const server = serveHbone(tls.server, serverSettings, clock, onTunnel);
  const clientSettings = { ...defaultHboneSettings("client"), ...options.client };
  const client = await openHboneClient(tls.client, clientSettings, clock);
  const close = async (): Promise<void> => {
    client.drain();
    await Promise.all([client.closed, server.closed]);
  };
  return { client, server, close };
}
