/**
 * TLS handshakes of HBONE. Both sides present a certificate; OpenSSL verifies the chain, the dates and the purpose; a peer is
 * nothing but its SPIFFE URI names, compared exactly. DNS names and the common name are never looked at.
 */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect, type Server, type TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { asMeshError, describeError, MeshError } from "../base/errors.ts";
import { type AcceptedPeer, acceptedPeer, type PeerVerdict, trustedPeer } from "./peer.ts";
import type { PeerRevocation, TlsRole } from "./revocation.ts";
import type { SpiffeIdentity } from "./spiffe.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";
import { peerUriSans } from "./x509.ts";

/** A peer that stays silent must not hold a socket for ever. The reference has no such limit. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** A finished handshake. The TLS socket is paused, maybe with data already buffered; errors close it. */
export interface SecuredSocket {
  readonly tls: TLSSocket;
  /** The first SPIFFE name of the peer's certificate. */
  readonly peer: SpiffeIdentity;
}

export interface ClientHandshake {
  /** A connected socket, or the stream of an outer tunnel. Destroyed when the handshake fails. */
  readonly socket: Socket | Duplex;
  readonly certificate: WorkloadCertificate;
  /** SPIFFE URIs; the peer must have one of these names exactly. Empty: nobody is accepted. */
  readonly acceptedIdentities: readonly string[];
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface ServerHandshake {
  readonly socket: Socket | Duplex;
  readonly certificate: WorkloadCertificate;
  /** The peer must have a SPIFFE name in this trust domain. Usually that of the certificate. */
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

const tlsError = (reason: string, cause?: unknown): MeshError =>
  new MeshError("tls-failed", `tls error: ${reason}`, { cause });

/** Callbacks of one attempt; whichever comes first counts. */
interface Outcome {
  done(tls: TLSSocket, verdict: PeerVerdict): void;
  failed(thrown: unknown): void;
}

interface Limits {
  readonly socket: Socket | Duplex;
  readonly certificate: WorkloadCertificate;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** Errors after the handshake close the socket, and its owner sees that; one without a listener would end the process. */
function ignoreError(): void {
  // Nothing to do: 'close' follows.
}

function checkPeer(tls: TLSSocket, verdict: PeerVerdict): asserts verdict is AcceptedPeer {
  if (verdict.kind === "refused") throw tlsError(verdict.reason);
  if (tls.destroyed) throw tlsError("connection closed during the handshake");
}

function checkRevocation(
  tls: TLSSocket,
  role: TlsRole,
  revocation: PeerRevocation | undefined,
): void {
  const serial = revocation?.revoked(tls, role);
  if (serial === undefined) return;
  throw new MeshError(
    "certificate-revoked",
    `tls error: peer certificate revoked by CRL (serial number ${serial})`,
  );
}

/** Runs one attempt under its deadline and signal, and leaves no timer, listener or half-open socket behind. */
function attempt(
  role: TlsRole,
  limits: Limits,
  start: (outcome: Outcome) => void,
): Promise<SecuredSocket> {
  const { socket, certificate, clock, signal, timeoutMs = HANDSHAKE_TIMEOUT_MS } = limits;
  const { revocation } = certificate;
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      deadline.cancel();
      signal?.removeEventListener("abort", onAbort);
      return true;
    };
    const fail = (reason: unknown): void => {
      if (!settle()) return;
      socket.destroy();
      reject(reason);
    };
    const onAbort = (): void => fail(signal?.reason);
    const deadline = clock.after(timeoutMs, () =>
      fail(tlsError(`handshake not finished after ${timeoutMs} ms`)),
    );
    socket.on("error", ignoreError);
    // A peer that ends its side before the handshake is done has given up: without this, Node would wait for more.
    const { allowHalfOpen } = socket;
    socket.allowHalfOpen = false;
    if (signal?.aborted) {
      onAbort();
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    const failed = (thrown: unknown): void => fail(asMeshError(thrown, "tls-failed", "tls error"));
    const done = (tls: TLSSocket, verdict: PeerVerdict): void => {
      try {
        checkPeer(tls, verdict);
        checkRevocation(tls, role, revocation);
      } catch (thrown) {
        tls.destroy();
        failed(thrown);
        return;
      }
      if (!settle()) {
        tls.destroy();
        return;
      }
      socket.allowHalfOpen = allowHalfOpen;
      tls.allowHalfOpen = allowHalfOpen;
      revocation?.track(tls, role);
      // Wrapping keeps the option of the connection below, unless that was not a TCP socket set up by us.
      tls.setNoDelay(true);
      resolve({ tls, peer: verdict.peer });
    };
    try {
      start({ done, failed });
    } catch (thrown) {
      failed(thrown);
    }
  });
}

/** Rejects with MeshError `tls-failed`, or with the signal's reason. */
export function handshakeClient(handshake: ClientHandshake): Promise<SecuredSocket> {
  const { socket, certificate, acceptedIdentities } = handshake;
  return attempt("client", handshake, ({ done, failed }) => {
    let verdict: PeerVerdict = { kind: "refused", reason: "peer certificate was not checked" };
    const tls = connect({
      socket,
      secureContext: certificate.clientContext(),
      ALPNProtocols: ["h2"],
      rejectUnauthorized: true,
      checkServerIdentity: (_host, cert) => {
        verdict = judge(cert.raw, (names) => acceptedPeer(names, acceptedIdentities));
        return verdict.kind === "refused" ? tlsError(verdict.reason) : undefined;
      },
    });
    const onClose = (): void => failed(new Error("connection closed during the handshake"));
    tls.on("error", ignoreError);
    tls.once("error", failed);
    tls.once("close", onClose);
    tls.once("secureConnect", () => {
      tls.removeListener("error", failed);
      tls.removeListener("close", onClose);
      done(tls, verdict);
    });
  });
}

/** Rejects with MeshError `tls-failed`, or with the signal's reason. */
export function handshakeServer(handshake: ServerHandshake): Promise<SecuredSocket> {
  const { socket, certificate, trustDomain } = handshake;
  return attempt("server", handshake, ({ done, failed }) => {
    accept(certificate.acceptor(), socket, (error, tls) => {
      if (error !== undefined) {
        failed(error);
        return;
      }
      tls.on("error", ignoreError);
      const peer = tls.getPeerX509Certificate();
      // `authorized` is OpenSSL's verdict on the chain; without it the server has destroyed the socket already.
      if (peer === undefined || !tls.authorized)
        done(tls, { kind: "refused", reason: "peer certificate was not verified" });
      else
        done(
          tls,
          judge(peer.raw, (names) => trustedPeer(names, trustDomain)),
        );
    });
  });
}

function judge(der: Buffer, decide: (names: readonly string[]) => PeerVerdict): PeerVerdict {
  try {
    return decide(peerUriSans(der));
  } catch (thrown) {
    return { kind: "refused", reason: `unreadable peer certificate: ${describeError(thrown)}` };
  }
}

type Accepted = (error: Error | undefined, tls: TLSSocket) => void;

/**
 * Hands one socket to a TLS server, which is the documented way to run its side of a handshake on any stream, and learns the
 * outcome for this very socket: the server reports by events that do not say which socket they are about, so it sees a
 * view of itself whose `emit` is ours.
 */
function accept(server: Server, socket: Socket | Duplex, report: Accepted): void {
  const emit = (event: string, ...args: unknown[]): boolean => {
    switch (event) {
      case "secureConnection":
        report(undefined, args[0] as TLSSocket);
        return true;
      case "tlsClientError": {
        const [error, tls] = args as [Error, TLSSocket];
        // Set when the chain did not verify; the error itself says only that the socket closed.
        const reason = tls.authorizationError as unknown;
        report(reason ? new Error(`peer certificate: ${describeError(reason)}`) : error, tls);
        return true;
      }
      default:
        return EventEmitter.prototype.emit.call(server, event, ...args);
    }
  };
  const view: Server = Object.create(server, { emit: { value: emit } });
  EventEmitter.prototype.emit.call(view, "connection", socket);
}
