/** What lies between a connection's octets and the network: TLS, a PROXY header; compiled by compile/transport-socket.ts. */
import type { StringMatcher } from "./matchers.ts";

export interface TransportConfig {
  /** Written before anything else, TLS included. */
  readonly proxyProtocol: "v1" | "v2" | undefined;
  readonly tls: UpstreamTls | undefined;
}

export interface TransportMatch {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly transport: TransportConfig;
}

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

export interface UpstreamTls {
  /** Undefined: from the authority where the cluster says so, else none. */
  readonly sni: string | undefined;
  readonly alpn: readonly string[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL's list; undefined: its default. */
  readonly ciphers: string | undefined;
  readonly groups: string | undefined;
  readonly certificate: CertificateSource | undefined;
  readonly trust: TrustSource;
  readonly peer: PeerRules;
}

/** Bytes given in place, or a file to read. */
export type DataSource =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "file"; readonly path: string };

export type CertificateSource =
  /** The waypoint's own: SDS name `default`. */
  | { readonly kind: "workload" }
  | { readonly kind: "secret"; readonly name: string }
  | { readonly kind: "given"; readonly chain: DataSource; readonly key: DataSource };

export type TrustSource =
  /** The mesh's roots: SDS name `ROOTCA`. */
  | { readonly kind: "workload" }
  /** What the machine trusts: `file-root:system`. */
  | { readonly kind: "system" }
  | { readonly kind: "secret"; readonly name: string }
  | { readonly kind: "given"; readonly roots: DataSource; readonly crl: DataSource | undefined }
  /** insecureSkipVerify, or no validation context at all: Envoy checks nothing then. */
  | { readonly kind: "none" };

/** Any matching one is enough; none at all: every name is fine. */
export interface PeerRules {
  readonly names: readonly PeerNameRule[];
  /** SHA-256 of the certificate or of its public key. */
  readonly certificateHashes: readonly string[];
  readonly spkiHashes: readonly string[];
}

export interface PeerNameRule {
  /** "any": match_subject_alt_names, which looks at DNS, URI and IP names alike. */
  readonly type: "dns" | "uri" | "ip" | "email" | "any";
  readonly matcher: StringMatcher;
}
