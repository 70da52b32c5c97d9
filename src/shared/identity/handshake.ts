/**
 * TLS handshakes of HBONE. Both sides present a certificate; OpenSSL verifies the chain, the dates and the purpose; a peer is
 * nothing but its SPIFFE URI names, compared exactly. DNS names and the common name are never looked at.
 */
import { connect } from "node:tls";
import { describeError } from "../base/errors.ts";
import {
  attemptHandshake,
  type HandshakeLimits,
  ignoreError,
  type SecuredSocket,
  tlsError,
} from "./handshake-attempt.ts";
import { type AlsoTrusted, acceptedPeer, type PeerVerdict, trustedPeer } from "./peer.ts";
import { acceptTls } from "./tls-accept.ts";
import { peerUriSans } from "./x509.ts";

export interface ClientHandshake extends HandshakeLimits {
  /** SPIFFE URIs; the peer must have one of these names exactly. Empty: nobody is accepted. */
  readonly acceptedIdentities: readonly string[];
  /** In place of that: judges the peer's URI names. */
  readonly judgePeer?: (uris: readonly string[]) => PeerVerdict;
}

export interface ServerHandshake extends HandshakeLimits {
  /** The peer must have a SPIFFE name in this trust domain. Usually that of the certificate. */
  readonly trustDomain: string;
  readonly alsoTrusted?: AlsoTrusted | undefined;
}

/** Rejects with MeshError `tls-failed`, or with the signal's reason. */
export function handshakeClient(handshake: ClientHandshake): Promise<SecuredSocket> {
  const { socket, certificate, acceptedIdentities } = handshake;
  const decide =
    handshake.judgePeer ?? ((names: readonly string[]) => acceptedPeer(names, acceptedIdentities));
  return attemptHandshake("client", handshake, ({ done, failed }) => {
    let verdict: PeerVerdict = { kind: "refused", reason: "peer certificate was not checked" };
    const tls = connect({
      socket,
      secureContext: certificate.clientContext(),
      ALPNProtocols: ["h2"],
      rejectUnauthorized: true,
      checkServerIdentity: (_host, cert) => {
        verdict = judge(cert.raw, decide);
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
  const { socket, certificate, trustDomain, alsoTrusted } = handshake;
  return attemptHandshake("server", handshake, ({ done, failed }) => {
    acceptTls(certificate.acceptor(), socket, (error, tls) => {
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
          judge(peer.raw, (names) => trustedPeer(names, trustDomain, alsoTrusted)),
        );
    });
  });
}

/** What the names in a verified certificate come to. */
export function judge(der: Buffer, decide: (names: readonly string[]) => PeerVerdict): PeerVerdict {
  try {
    return decide(peerUriSans(der));
  } catch (thrown) {
    return { kind: "refused", reason: `unreadable peer certificate: ${describeError(thrown)}` };
  }
}
