/**
 * The handshakes of handshake.ts on a bare TCP connection, with the same rules: both sides present a certificate; OpenSSL
 * verifies the chain, the dates and the purpose; a peer is nothing but its SPIFFE URI names.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { asMeshError } from "../base/errors.ts";
import type { ReadyListener } from "../os/epoll.ts";
import type { TcpConnection } from "../os/tcp-connection.ts";
import { ConnectionChannel } from "../tls/connection-channel.ts";
import { TlsSession, tlsEnd, tlsFailed, tlsWantsWrite } from "../tls/session.ts";
import { judge } from "./handshake.ts";
import { checkRevocation, HANDSHAKE_TIMEOUT_MS, tlsError } from "./handshake-attempt.ts";
import { type AlsoTrusted, acceptedPeer, type PeerVerdict, trustedPeer } from "./peer.ts";
import type { TlsRole } from "./revocation.ts";
import type { SpiffeIdentity } from "./spiffe.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

/** A finished handshake. Nothing is read yet. */
export interface SecuredConnection {
  readonly channel: ConnectionChannel;
  /** The first SPIFFE name of the peer's certificate. */
  readonly peer: SpiffeIdentity;
}

export interface ConnectionHandshake {
  /** Closed when the handshake fails. */
  readonly connection: TcpConnection;
  readonly certificate: WorkloadCertificate;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface SecureAsClient extends ConnectionHandshake {
  /** SPIFFE URIs; the peer must have one of these names exactly. Empty: nobody is accepted. */
  readonly acceptedIdentities: readonly string[];
}

export interface SecureAsServer extends ConnectionHandshake {
  /** The peer must have a SPIFFE name in this trust domain. Usually that of the certificate. */
  readonly trustDomain: string;
  readonly alsoTrusted?: AlsoTrusted | undefined;
}

/** Rejects with MeshError `tls-failed` or `certificate-revoked`, or with the signal's reason. */
export function secureClient(handshake: SecureAsClient): Promise<SecuredConnection> {
  return attempt("client", handshake, (names) => acceptedPeer(names, handshake.acceptedIdentities));
}

/** Rejects with MeshError `tls-failed` or `certificate-revoked`, or with the signal's reason. */
export function secureServer(handshake: SecureAsServer): Promise<SecuredConnection> {
  const { trustDomain, alsoTrusted } = handshake;
  return attempt("server", handshake, (names) => trustedPeer(names, trustDomain, alsoTrusted));
}

function attempt(
  role: TlsRole,
  handshake: ConnectionHandshake,
  decide: (names: readonly string[]) => PeerVerdict,
): Promise<SecuredConnection> {
  return new Promise((resolve, reject) => {
    const { signal, connection, certificate } = handshake;
    try {
      signal?.throwIfAborted();
      if (connection.closed) throw tlsError("connection is closed");
      const session = new TlsSession(certificate.connectionContext(role), connection.fd);
      new Attempt(role, handshake, session, decide, resolve, reject).start();
    } catch (thrown) {
      connection.close();
      reject(signal?.aborted ? thrown : asMeshError(thrown, "tls-failed", "tls error"));
    }
  });
}

/** "settled": the session is the channel's, or gone. */
type State = "running" | "settled";

class Attempt implements ReadyListener {
  readonly #role: TlsRole;
  readonly #handshake: ConnectionHandshake;
  readonly #session: TlsSession;
  readonly #decide: (names: readonly string[]) => PeerVerdict;
  readonly #resolve: (secured: SecuredConnection) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #deadline: Timer;
  readonly #onAbort = (): void => this.#fail(this.#handshake.signal?.reason);
  #state: State = "running";

  constructor(
    role: TlsRole,
    handshake: ConnectionHandshake,
    session: TlsSession,
    decide: (names: readonly string[]) => PeerVerdict,
    resolve: (secured: SecuredConnection) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#role = role;
    this.#handshake = handshake;
    this.#session = session;
    this.#decide = decide;
    this.#resolve = resolve;
    this.#reject = reject;
    const { clock, timeoutMs = HANDSHAKE_TIMEOUT_MS } = handshake;
    this.#deadline = clock.after(timeoutMs, () =>
      this.#fail(tlsError(`handshake not finished after ${timeoutMs} ms`)),
    );
  }

  start(): void {
    const { connection, signal } = this.#handshake;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    connection.watch(this);
    // The client speaks first.
    if (this.#role === "client") this.ready();
  }

  ready(): void {
    if (this.#state === "settled") return;
    const step = this.#session.handshake();
    switch (step) {
      case 1:
        this.#done();
        return;
      case tlsEnd:
        this.#fail(tlsError("connection closed during the handshake"));
        return;
      case tlsFailed:
        this.#fail(tlsError(this.#session.failure));
        return;
      case tlsWantsWrite:
        this.#handshake.connection.watchWrites(this);
        return;
    }
  }

  #done(): void {
    const { connection, certificate } = this.#handshake;
    const channel = new ConnectionChannel(connection, this.#session);
    try {
      const verdict = this.#verdict();
      if (verdict.kind === "refused") throw tlsError(verdict.reason);
      checkRevocation(channel, this.#role, certificate.revocation);
      this.#settle();
      certificate.revocation?.track(channel, this.#role);
      this.#resolve({ channel, peer: verdict.peer });
    } catch (thrown) {
      this.#fail(asMeshError(thrown, "tls-failed", "tls error"));
    }
  }

  #verdict(): PeerVerdict {
    const der = this.#session.peerCertificate();
    // OpenSSL ends the handshake without one; this is for the day on which it would not.
    if (der === undefined) return { kind: "refused", reason: "peer certificate was not verified" };
    return judge(der, this.#decide);
  }

  #fail(reason: unknown): void {
    if (this.#state === "settled") return;
    this.#settle();
    this.#session.free();
    // The peer shall see the alert.
    this.#handshake.connection.closeRead();
    this.#reject(reason);
  }

  #settle(): void {
    this.#state = "settled";
    this.#deadline.cancel();
    this.#handshake.signal?.removeEventListener("abort", this.#onAbort);
  }
}
