/**
 * The TLS parameters of HBONE (wire/ztunnel.md section 4.6) and the contexts built from them: one for each role of a
 * certificate, shared by all its connections.
 */
import { constants, X509Certificate } from "node:crypto";
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
} from "node:tls";
import { MeshError } from "../base/errors.ts";
import { TlsContext } from "../tls/context.ts";

export interface TlsSettings {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** Key exchange groups, colon-separated, in order of preference. */
  readonly groups: string;
}

export interface TlsOptions {
  /** TLS12_ENABLED. */
  readonly tls12: boolean;
  /** COMPLIANCE_POLICY. */
  readonly compliancePolicy: "pqc" | undefined;
}

/** What a context is made of. */
export interface TlsMaterial {
  /** Leaf first, then intermediates. */
  readonly chainPem: string;
  readonly keyPem: string;
  readonly rootPems: readonly string[];
}

const SUITES_13 = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"];
const SUITES_12 = [
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES128-GCM-SHA256",
];
const CLASSIC_GROUPS = ["X25519", "P-256", "P-384"];
const HYBRID_GROUP = "X25519MLKEM768";

/** First OpenSSL with the hybrid group. */
const HYBRID_SINCE = [3, 5] as const;

let hybridSupport: boolean | undefined;

function probeHybridGroup(): boolean {
  // A group that OpenSSL does not know leaves an error behind in its queue, which the next unrelated call of node:crypto
  // may then throw (seen on Node 20). So old versions are not even asked.
  const [major = 0, minor = 0] = process.versions.openssl.split(".").map(Number);
  const [sinceMajor, sinceMinor] = HYBRID_SINCE;
  if (major < sinceMajor || (major === sinceMajor && minor < sinceMinor)) return false;
  try {
    createSecureContext({ ecdhCurve: HYBRID_GROUP });
    return true;
  } catch {
    return false;
  }
}

/** Whether this OpenSSL has the hybrid group; found out once. */
export function hasHybridGroup(): boolean {
  hybridSupport ??= probeHybridGroup();
  return hybridSupport;
}

/** Throws when the compliance policy demands a group that this OpenSSL lacks: never fall back in silence. */
export function tlsSettings(options: TlsOptions, hybrid: boolean = hasHybridGroup()): TlsSettings {
  const pqc = options.compliancePolicy === "pqc";
  if (pqc && !hybrid)
    throw new MeshError(
      "tls-failed",
      `tls error: COMPLIANCE_POLICY=pqc needs ${HYBRID_GROUP}, which this OpenSSL does not have`,
    );
  return {
    // The hybrid group exists in TLS 1.3 only.
    minVersion: options.tls12 && !pqc ? "TLSv1.2" : "TLSv1.3",
    groups: pqc ? HYBRID_GROUP : [...CLASSIC_GROUPS, ...(hybrid ? [HYBRID_GROUP] : [])].join(":"),
  };
}

/** Newer than the type definitions. */
interface ContextOptions extends SecureContextOptions {
  readonly allowPartialTrustChain: boolean;
}

function contextOptions(material: TlsMaterial, settings: TlsSettings): ContextOptions {
  // Without `ca` Node would trust the public roots of the Web.
  if (material.rootPems.length === 0)
    throw new MeshError("tls-failed", "tls error: no root certificate to trust");
  const suites = settings.minVersion === "TLSv1.2" ? [...SUITES_13, ...SUITES_12] : SUITES_13;
  return {
    cert: material.chainPem,
    key: material.keyPem,
    ca: [...material.rootPems],
    minVersion: settings.minVersion,
    maxVersion: "TLSv1.3",
    ciphers: suites.join(":"),
    ecdhCurve: settings.groups,
    // Every root delivered by the control plane is an anchor, also one that is not self-signed. Node before 22.9 ignores it.
    allowPartialTrustChain: true,
  };
}

export function createClientContext(material: TlsMaterial, settings: TlsSettings): SecureContext {
  return createSecureContext(contextOptions(material, settings));
}

/**
 * The server role: a TLS server that never listens; handshake.ts hands accepted sockets to it. It holds the context, and
 * refuses peers without a certificate that chains to the roots.
 */
export function createTlsAcceptor(material: TlsMaterial, settings: TlsSettings): Server {
  const options: ContextOptions = {
    ...contextOptions(material, settings),
    // A resumed session would not verify the client's certificate again (expired, revoked, other roots).
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  const server = createServer({
    ...options,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ["h2"],
  });
  // Node's server drops allowPartialTrustChain when it builds its context (seen in 24.21). Where an anchor needs it, the
  // context is replaced by one that has it; should the name ever change, such peers are refused, nobody else is let in.
  if (CONTEXT in server && material.rootPems.some((pem) => !isSelfSigned(pem)))
    Object.defineProperty(server, CONTEXT, { value: createSecureContext(options) });
  return server;
}

/** The same for connections that Node's TLS sockets do not carry. Throws MeshError `tls-failed`. */
export function createConnectionContext(
  role: "client" | "server",
  material: TlsMaterial,
  { minVersion, groups }: TlsSettings,
): TlsContext {
  const suites12 = minVersion === "TLSv1.2" ? SUITES_12 : [];
  return new TlsContext({ role, ...material, minVersion, groups, suites13: SUITES_13, suites12 });
}

/** Where a TLS server of Node keeps its context. */
const CONTEXT = "_sharedCreds";

function isSelfSigned(pem: string): boolean {
  const certificate = new X509Certificate(pem);
  return certificate.checkIssued(certificate);
}
