/**
 * One attempt at a TLS handshake, whichever role: its deadline, its signal, what must be true of the peer at its end, and
 * nothing left behind when it fails.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { asMeshError, MeshError } from "../base/errors.ts";
import type { RevocablePeer } from "../tls/channel.ts";
import { revocablePeer } from "../tls/stream-channel.ts";
import type { AcceptedPeer, PeerVerdict } from "./peer.ts";
import type { PeerRevocation, TlsRole } from "./revocation.ts";
import type { SpiffeIdentity } from "./spiffe.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

/** A peer that stays silent must not hold a socket for ever. The reference has no such limit. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** A finished handshake. The TLS socket is paused, maybe with data already buffered; errors close it. */
export interface SecuredSocket {
  readonly tls: TLSSocket;
  /** The first SPIFFE name of the peer's certificate. */
  readonly peer: SpiffeIdentity;
}

export const tlsError = (reason: string, cause?: unknown): MeshError =>
  new MeshError("tls-failed", `tls error: ${reason}`, { cause });

/** Callbacks of one attempt; whichever comes first counts. */
export interface Outcome {
  done(tls: TLSSocket, verdict: PeerVerdict): void;
  failed(thrown: unknown): void;
}

export interface HandshakeLimits {
  /** A connected socket, or the stream of an outer tunnel. Destroyed when the handshake fails. */
  readonly socket: Socket | Duplex;
  readonly certificate: WorkloadCertificate;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** Errors after the handshake close the socket, and its owner sees that; one without a listener would end the process. */
export function ignoreError(): void {
  // Nothing to do: 'close' follows.
}

function checkPeer(tls: TLSSocket, verdict: PeerVerdict): asserts verdict is AcceptedPeer {
  if (verdict.kind === "refused") throw tlsError(verdict.reason);
  if (tls.destroyed) throw tlsError("connection closed during the handshake");
}

/** Throws MeshError `certificate-revoked`. */
export function checkRevocation(
  peer: RevocablePeer,
  role: TlsRole,
  revocation: PeerRevocation | undefined,
): void {
  const serial = revocation?.revoked(peer, role);
  if (serial === undefined) return;
  throw new MeshError(
    "certificate-revoked",
    `tls error: peer certificate revoked by CRL (serial number ${serial})`,
  );
}

/** Runs one attempt under its deadline and signal, and leaves no timer, listener or half-open socket behind. */
export function attemptHandshake(
  role: TlsRole,
  limits: HandshakeLimits,
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
    if (signal?.aborted || socket.destroyed) {
      fail(signal?.aborted ? signal.reason : tlsError("connection is closed"));
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    const failed = (thrown: unknown): void => fail(asMeshError(thrown, "tls-failed", "tls error"));
    const done = (tls: TLSSocket, verdict: PeerVerdict): void => {
      const peer = revocablePeer(tls);
      try {
        checkPeer(tls, verdict);
        checkRevocation(peer, role, revocation);
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
      revocation?.track(peer, role);
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
