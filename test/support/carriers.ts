/** What carries a session's TLS: a socket of Node's, or OpenSSL on the bare connection. The peer is always Node's. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { systemClock } from "../../src/shared/base/clock.ts";
import { secureClient, secureServer } from "../../src/shared/identity/connection-handshake.ts";
import { handshakeClient, handshakeServer } from "../../src/shared/identity/handshake.ts";
import type { TcpConnection } from "../../src/shared/os/tcp-connection.ts";
import type { SecureChannel } from "../../src/shared/tls/channel.ts";
import { newRoot, newWorkload, spiffe } from "../unit/shared/identity/pki.ts";
import { bareConnections, bareEnds, portOf, socketPair } from "./hbone.ts";

export interface Carried {
  readonly ours: TLSSocket | SecureChannel;
  readonly peer: TLSSocket;
  /** What the peer's TLS is on. */
  readonly peerSocket: Socket;
}

export interface Carrier {
  readonly name: string;
  readonly ourServer: () => Promise<Carried>;
  readonly ourClient: () => Promise<Carried>;
}

const root = newRoot();
const web = newWorkload(root, { uris: [spiffe("shop/web")] });
const orders = newWorkload(root, { uris: [spiffe("shop/orders")] });
const asClient = {
  certificate: web,
  acceptedIdentities: [spiffe("shop/orders")],
  clock: systemClock,
};
const asServer = { certificate: orders, trustDomain: "cluster.local", clock: systemClock };

function bare(connection: unknown): TcpConnection {
  return connection as TcpConnection;
}

export const carriers: readonly Carrier[] = [
  {
    name: "TLS on a bare connection",
    ourServer: async () => {
      const { near, far } = await bareConnections.pair();
      const [{ channel }, { tls }] = await Promise.all([
        secureServer({ ...asServer, connection: bare(near) }),
        handshakeClient({ ...asClient, socket: far }),
      ]);
      return { ours: channel, peer: closingInTurn(tls), peerSocket: far };
    },
    ourClient: async () => {
      const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true });
      await once(listener.listen(0, "127.0.0.1"), "listening");
      const accepted = once(listener, "connection");
      const connection = await bareConnections.dial(portOf(listener));
      const [socket] = await accepted;
      listener.close();
      const [{ channel }, { tls }] = await Promise.all([
        secureClient({ ...asClient, connection: bare(connection) }),
        handshakeServer({ ...asServer, socket }),
      ]);
      return { ours: channel, peer: closingInTurn(tls), peerSocket: socket };
    },
  },
  {
    name: "a TLS socket of Node's",
    ourServer: async () => {
      const { client, server, far } = await nodePair();
      return { ours: server, peer: closingInTurn(client), peerSocket: far };
    },
    ourClient: async () => {
      const { client, server, near } = await nodePair();
      return { ours: client, peer: closingInTurn(server), peerSocket: near };
    },
  },
];

/** A peer that ends when we have ended, as most do; otherwise each end would be waited for. */
function closingInTurn(peer: TLSSocket): TLSSocket {
  return peer.on("end", () => peer.end());
}

async function nodePair(): Promise<{
  client: TLSSocket;
  server: TLSSocket;
  near: Socket;
  far: Socket;
}> {
  const { near, far } = await socketPair();
  const [client, server] = await Promise.all([
    handshakeClient({ ...asClient, socket: far }),
    handshakeServer({ ...asServer, socket: near }),
  ]);
  return { client: client.tls, server: server.tls, near, far };
}

/** Both ends are ours. */
export async function channelPair(): Promise<{ client: SecureChannel; server: SecureChannel }> {
  const { near, far } = await bareEnds();
  const [client, server] = await Promise.all([
    secureClient({ ...asClient, connection: far }),
    secureServer({ ...asServer, connection: near }),
  ]);
  return { client: client.channel, server: server.channel };
}
