/**
 * A workload's certificate as the proxy holds it: who it names, what to present, whom to trust, and the TLS contexts that
 * every connection under it shares (a context per connection costs about 40 KB and a parse of the chain).
 */
import type { KeyObject } from "node:crypto";
import type { SecureContext, Server } from "node:tls";
import type { TlsContext } from "../tls/context.ts";
import type { PeerRevocation } from "./revocation.ts";
import type { SpiffeIdentity } from "./spiffe.ts";
import {
  createClientContext,
  createConnectionContext,
  createTlsAcceptor,
  type TlsMaterial,
  type TlsSettings,
} from "./tls-context.ts";
import type { CertificateInfo } from "./x509.ts";

export interface WorkloadCertificate {
  readonly identity: SpiffeIdentity;
  readonly leaf: CertificateInfo;
  /** Sent to peers after the leaf. */
  readonly intermediates: readonly CertificateInfo[];
  /** Whom to trust; several during a rotation of the root. */
  readonly roots: readonly CertificateInfo[];
  /** Built at first use, then shared by all connections that we open. */
  clientContext(): SecureContext;
  /** The same for accepted connections; see handshake.ts. */
  acceptor(): Server;
  /** The same for connections without a socket of Node's; see connection-handshake.ts. */
  connectionContext(role: "client" | "server"): TlsContext;
  /** Whom not to believe though the chain is right. */
  readonly revocation?: PeerRevocation | undefined;
}

export interface CertificateMaterial {
  readonly identity: SpiffeIdentity;
  readonly leaf: CertificateInfo;
  readonly intermediates: readonly CertificateInfo[];
  readonly roots: readonly CertificateInfo[];
  readonly privateKey: KeyObject;
}

/** What a certificate was made of, its key among it. */
let partsOf: (certificate: Certificate) => CertificateMaterial;

class Certificate implements WorkloadCertificate {
  static {
    partsOf = (certificate) => ({
      identity: certificate.identity,
      leaf: certificate.leaf,
      intermediates: certificate.intermediates,
      roots: certificate.roots,
      privateKey: certificate.#key,
    });
  }

  readonly identity: SpiffeIdentity;
  readonly leaf: CertificateInfo;
  readonly intermediates: readonly CertificateInfo[];
  readonly roots: readonly CertificateInfo[];
  readonly revocation: PeerRevocation | undefined;
  // Private, so that neither a log line nor a dump can show the key.
  readonly #key: KeyObject;
  readonly #settings: TlsSettings;
  #client: SecureContext | undefined;
  #acceptor: Server | undefined;
  readonly #contexts: { client?: TlsContext; server?: TlsContext } = {};

  constructor(
    material: CertificateMaterial,
    settings: TlsSettings,
    revocation: PeerRevocation | undefined,
  ) {
    this.identity = material.identity;
    this.leaf = material.leaf;
    this.intermediates = material.intermediates;
    this.roots = material.roots;
    this.revocation = revocation;
    this.#key = material.privateKey;
    this.#settings = settings;
  }

  clientContext(): SecureContext {
    this.#client ??= createClientContext(this.#material(), this.#settings);
    return this.#client;
  }

  acceptor(): Server {
    this.#acceptor ??= createTlsAcceptor(this.#material(), this.#settings);
    return this.#acceptor;
  }

  connectionContext(role: "client" | "server"): TlsContext {
    this.#contexts[role] ??= createConnectionContext(role, this.#material(), this.#settings);
    return this.#contexts[role];
  }

  #material(): TlsMaterial {
    return {
      chainPem: [this.leaf, ...this.intermediates].map(({ pem }) => pem).join(""),
      keyPem: this.#key.export({ type: "pkcs8", format: "pem" }).toString(),
      rootPems: this.roots.map(({ pem }) => pem),
    };
  }
}

export function createWorkloadCertificate(
  material: CertificateMaterial,
  settings: TlsSettings,
  revocation?: PeerRevocation,
): WorkloadCertificate {
  return new Certificate(material, settings, revocation);
}

/** What another thread needs to hold the same certificate. Its key goes nowhere but into a certificate there. */
export function materialOf(certificate: WorkloadCertificate): CertificateMaterial {
  if (!(certificate instanceof Certificate)) throw new TypeError("not a certificate of ours");
  return partsOf(certificate);
}

/** Half of the lifetime: when a successor should be fetched (wire/ztunnel.md section 2). */
export function refreshAtMs({ leaf }: WorkloadCertificate): number {
  return leaf.notBeforeMs + (leaf.notAfterMs - leaf.notBeforeMs) / 2;
}
