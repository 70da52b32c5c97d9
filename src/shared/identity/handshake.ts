/** TLS handshakes of HBONE: both sides present a certificate, and a peer is nothing but its SPIFFE URI names. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import type { SpiffeIdentity } from "./spiffe.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

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
}

export interface ServerHandshake {
  readonly socket: Socket | Duplex;
  readonly certificate: WorkloadCertificate;
  /** The peer must have a SPIFFE name in this trust domain. Usually that of the certificate. */
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Rejects with MeshError `tls-failed`, or with the signal's reason. */
export function handshakeClient(_handshake: ClientHandshake): Promise<SecuredSocket> {
  return Promise.reject(new Error("not written yet"));
}

/** Rejects with MeshError `tls-failed`, or with the signal's reason. */
export function handshakeServer(_handshake: ServerHandshake): Promise<SecuredSocket> {
  return Promise.reject(new Error("not written yet"));
}
