/** Our HBONE endpoints with identities, as the ztunnel puts them together, and applications behind them. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { openHboneClient } from "../../../src/shared/hbone/client.ts";
import { joinFlow } from "../../../src/shared/hbone/flow.ts";
import { HbonePool } from "../../../src/shared/hbone/pool.ts";
import { serveHbone } from "../../../src/shared/hbone/server.ts";
import {
  defaultHboneSettings,
  type Flow,
  type HboneClientSession,
  type HboneServerSession,
  type HboneSettings,
  type IncomingTunnel,
  type TunnelAnswer,
} from "../../../src/shared/hbone/tunnel.ts";
import { handshakeClient, handshakeServer } from "../../../src/shared/identity/handshake.ts";
import { formatSpiffe } from "../../../src/shared/identity/spiffe.ts";
import type { WorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";
import { acceptTo, dial, neverAborts, portOf } from "../../support/hbone.ts";

export const digest = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

export async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Sends `bytes` random octets to an echo behind this port, half-closes, and compares what comes back. */
export async function echoesAt(port: number, bytes: number): Promise<boolean> {
  const socket = await dial(port);
  const sent = randomBytes(bytes);
  socket.end(sent);
  return digest(await collect(socket)) === digest(sent);
}

export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`did not happen in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Resolves when the peer has ended or cut this connection, and drops it. */
export async function cutByPeer(socket: Socket): Promise<void> {
  socket.on("error", () => undefined).resume();
  await Promise.race([once(socket, "end"), once(socket, "close")]).catch(() => undefined);
  socket.destroy();
}

async function listening(server: Server): Promise<Server> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

/** A server whose connections a test scripts; never reads by itself. */
export async function application(onSocket: (socket: Socket) => void): Promise<Server> {
  return listening(
    createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      onSocket(socket);
    }),
  );
}

/** An HBONE server as the ztunnel's inbound side: handshake, session, CONNECT to the application. */
export class HboneServer {
  readonly sessions: HboneServerSession[] = [];
  readonly requests: IncomingTunnel[] = [];
  readonly flows: Flow[] = [];
  readonly peers: string[] = [];
  /** What happens to a request; the default joins it with the application. */
  onTunnel: (tunnel: IncomingTunnel) => void;
  readonly #server: Server;

  private constructor(certificate: WorkloadCertificate, settings: HboneSettings) {
    this.onTunnel = (tunnel) => tunnel.refuse(503);
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      this.#serve(socket, certificate, settings).catch(() => socket.destroy());
    });
  }

  static async listen(
    certificate: WorkloadCertificate,
    applicationPort: number,
    settings: Partial<HboneSettings> = {},
  ): Promise<HboneServer> {
    const limits = { ...defaultHboneSettings("server"), ...settings };
    const endpoint = new HboneServer(certificate, limits);
    endpoint.onTunnel = endpoint.acceptTo(applicationPort);
    await listening(endpoint.#server);
    return endpoint;
  }

  acceptTo(port: number): (tunnel: IncomingTunnel) => void {
    return acceptTo(port, [["baggage", "from=ambit"]], (flow) => this.flows.push(flow));
  }

  get port(): number {
    return portOf(this.#server);
  }

  get openStreams(): number {
    return this.sessions.reduce((sum, session) => sum + session.openStreams, 0);
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const session of this.sessions) session.destroy(new MeshError("drained", "test is over"));
    await Promise.all(this.sessions.map(({ closed }) => closed));
  }

  async #serve(
    socket: Socket,
    certificate: WorkloadCertificate,
    settings: HboneSettings,
  ): Promise<void> {
    const trustDomain = "cluster.local";
    const clock = systemClock;
    const { tls, peer } = await handshakeServer({ socket, certificate, trustDomain, clock });
    this.peers.push(formatSpiffe(peer));
    const session = serveHbone(tls, settings, clock, (tunnel) => {
      this.requests.push(tunnel);
      this.onTunnel(tunnel);
    });
    this.sessions.push(session);
  }
}

/** An HBONE client as the ztunnel's outbound side: takes plain connections and carries each in a tunnel of a pool. */
export class HboneClient {
  readonly sessions: HboneClientSession[] = [];
  readonly flows: Flow[] = [];
  readonly failures: unknown[] = [];
  readonly pool: HbonePool;
  readonly #certificate: WorkloadCertificate;
  readonly #acceptedIdentity: string;
  readonly #target: number;
  readonly #server: Server;

  private constructor(certificate: WorkloadCertificate, acceptedIdentity: string, target: number) {
    this.#certificate = certificate;
    this.#acceptedIdentity = acceptedIdentity;
    this.#target = target;
    this.pool = new HbonePool({ maxStreamsPerSession: 100, idleReleaseMs: 60_000 }, systemClock);
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    this.#server = createServer(options, (socket) => {
      socket.on("error", () => socket.destroy());
      this.#carry(socket).catch((thrown: unknown) => {
        this.failures.push(thrown);
        socket.destroy();
      });
    });
  }

  /** Tunnels go to the HBONE server at port `target`. */
  static async listen(
    certificate: WorkloadCertificate,
    acceptedIdentity: string,
    target: number,
  ): Promise<HboneClient> {
    const endpoint = new HboneClient(certificate, acceptedIdentity, target);
    await listening(endpoint.#server);
    return endpoint;
  }

  get port(): number {
    return portOf(this.#server);
  }

  open(authority: string): Promise<TunnelAnswer> {
    const headers = [["forwarded", 'for="192.0.2.1:5"']] as const;
    return this.pool.connect(
      "peer",
      (signal) => this.#openSession(signal),
      { authority, headers },
      neverAborts,
    );
  }

  async close(): Promise<void> {
    this.#server.close();
    this.pool.destroy(new MeshError("drained", "test is over"));
    await Promise.all(this.sessions.map(({ closed }) => closed));
  }

  async #carry(socket: Socket): Promise<void> {
    const answer = await this.open("10.0.0.1:80");
    if (answer.kind === "open") this.flows.push(joinFlow(socket, answer.stream));
    else socket.destroy();
  }

  async #openSession(signal: AbortSignal): Promise<HboneClientSession> {
    const socket = await dial(this.#target);
    const { tls } = await handshakeClient({
      socket,
      certificate: this.#certificate,
      acceptedIdentities: [this.#acceptedIdentity],
      clock: systemClock,
      signal,
    });
    const settings = defaultHboneSettings("client");
    const session = await openHboneClient(tls, settings, systemClock, signal);
    this.sessions.push(session);
    return session;
  }
}
