/** TLS contexts: of the tunnels, and of connections that a DestinationRule wants encrypted. */
import type { ClientTlsSpec } from "../../../shared/objects/kinds/destination-rule.ts";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
} from "../../../shared/wire/gen/envoy/config/core/v3/config_source_pb.js";
import {
  SubjectAltNameMatcher_SanType,
  TlsParameters_TlsProtocol,
} from "../../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { SdsSecretConfigSchema } from "../../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type {
  CommonTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { Mesh } from "./mesh.ts";
import { durationOf, type Init } from "./wire.ts";

type CommonTls = Init<typeof CommonTlsContextSchema>;
type UpstreamTls = Init<typeof UpstreamTlsContextSchema>;
type SecretSource = Init<typeof SdsSecretConfigSchema>;

const OWN_CERTIFICATE = "default";
const MESH_ROOTS = "ROOTCA";
const { TLSv1_2, TLSv1_3 } = TlsParameters_TlsProtocol;

/** Secrets of the proxy's own files and identity come over its own socket, not from us. */
function localSecret(name: string): SecretSource {
  const isIdentity = name === OWN_CERTIFICATE || name === MESH_ROOTS;
  return {
    name,
    sdsConfig: {
      configSourceSpecifier: {
        case: "apiConfigSource",
        value: {
          apiType: ApiConfigSource_ApiType.GRPC,
          setNodeOnFirstMessageOnly: true,
          transportApiVersion: ApiVersion.V3,
          grpcServices: [
            { targetSpecifier: { case: "envoyGrpc", value: { clusterName: "sds-grpc" } } },
          ],
        },
      },
      resourceApiVersion: ApiVersion.V3,
      ...(isIdentity ? { initialFetchTimeout: durationOf(0) } : {}),
    },
  };
}

/** A Secret of the cluster, asked for through the same stream as everything else. */
function clusterSecret(name: string): SecretSource {
  return {
    name: name.includes("://") ? name : `kubernetes://${name}`,
    sdsConfig: {
      configSourceSpecifier: { case: "ads", value: {} },
      resourceApiVersion: ApiVersion.V3,
    },
  };
}

function uriPrefix(prefix: string) {
  return {
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: { matchPattern: { case: "prefix", value: prefix } },
  } as const;
}

/** Both ends of every tunnel: the own identity, a peer of the mesh's trust domains, HTTP/2 over TLS 1.3. */
export function tunnelTls(mesh: Mesh, furtherPrefixes: readonly string[] = []): CommonTls {
  const prefixes = [
    ...mesh.trustDomains.map((domain) => `spiffe://${domain}/`),
    ...furtherPrefixes,
  ];
  return {
    tlsParams: { tlsMinimumProtocolVersion: TLSv1_3, tlsMaximumProtocolVersion: TLSv1_3 },
    alpnProtocols: ["h2"],
    tlsCertificateSdsSecretConfigs: [localSecret(OWN_CERTIFICATE)],
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: { matchTypedSubjectAltNames: prefixes.map(uriPrefix) },
        validationContextSdsSecretConfig: localSecret(MESH_ROOTS),
      },
    },
  };
}

/** To the mesh's own sidecars, which expect these words of each other. */
export function meshTls(
  names: { readonly sni: string; readonly subjectAltNames: readonly string[] },
  options: { readonly http2: boolean },
): UpstreamTls {
  return {
    sni: names.sni,
    commonTlsContext: {
      tlsParams: { tlsMinimumProtocolVersion: TLSv1_2, tlsMaximumProtocolVersion: TLSv1_3 },
      alpnProtocols: ["istio-peer-exchange", "istio", ...(options.http2 ? ["h2"] : [])],
      tlsCertificateSdsSecretConfigs: [localSecret(OWN_CERTIFICATE)],
      validationContextType: {
        case: "combinedValidationContext",
        value: {
          defaultValidationContext: { matchSubjectAltNames: exactly(names.subjectAltNames) },
          validationContextSdsSecretConfig: localSecret(MESH_ROOTS),
        },
      },
    },
  };
}

function exactly(names: readonly string[]) {
  return names.map((value) => ({ matchPattern: { case: "exact", value } }) as const);
}

/**
 * What a DestinationRule's `tls` makes of an upstream connection. Undefined for modes that encrypt nothing here: the
 * mesh's own mutual TLS is the tunnel's business.
 */
export function upstreamTls(
  tls: ClientTlsSpec | undefined,
  mesh: Mesh,
  options: { readonly http2: boolean },
): UpstreamTls | undefined {
  if (tls === undefined || tls.mode === "DISABLE" || tls.mode === "ISTIO_MUTUAL") return undefined;
  const mutual = tls.mode === "MUTUAL";
  const common = tls.credentialName === "" ? fromFiles(tls, mutual) : fromCredential(tls, mutual);
  if (common === undefined) return undefined;
  return {
    sni: tls.sni,
    commonTlsContext: {
      tlsParams: {
        tlsMinimumProtocolVersion: TLSv1_2,
        tlsMaximumProtocolVersion: TLSv1_3,
        ecdhCurves: [...(mesh.tlsDefaults?.ecdhCurves ?? [])],
        cipherSuites: [...(mesh.tlsDefaults?.cipherSuites ?? [])],
      },
      ...(options.http2 ? { alpnProtocols: ["h2"] } : {}),
      ...common,
    },
  };
}

function fromCredential(tls: ClientTlsSpec, mutual: boolean): CommonTls {
  return {
    ...(mutual ? { tlsCertificateSdsSecretConfigs: [clusterSecret(tls.credentialName)] } : {}),
    ...(tls.insecureSkipVerify === true
      ? {}
      : {
          validationContextType: {
            case: "combinedValidationContext",
            value: {
              defaultValidationContext: { matchSubjectAltNames: exactly(tls.subjectAltNames) },
              validationContextSdsSecretConfig: clusterSecret(`${tls.credentialName}-cacert`),
            },
          },
        }),
  };
}

/** Undefined when a client certificate is wanted and none is named: nothing is sent in its place. */
function fromFiles(tls: ClientTlsSpec, mutual: boolean): CommonTls | undefined {
  const { clientCertificate, privateKey } = tls;
  if (mutual && (clientCertificate === "" || privateKey === "")) return undefined;
  const roots = tls.caCertificates === "" ? "system" : tls.caCertificates;
  return {
    ...(mutual
      ? {
          tlsCertificateSdsSecretConfigs: [
            localSecret(`file-cert:${clientCertificate}~${privateKey}`),
          ],
        }
      : {}),
    validationContextType:
      tls.insecureSkipVerify === true
        ? { case: "validationContext", value: {} }
        : {
            case: "combinedValidationContext",
            value: {
              defaultValidationContext: {
                matchSubjectAltNames: exactly(tls.subjectAltNames),
                ...(tls.caCrl === ""
                  ? {}
                  : { crl: { specifier: { case: "filename", value: tls.caCrl } } as const }),
              },
              validationContextSdsSecretConfig: localSecret(`file-root:${roots}`),
            },
          },
  };
}

/** Whether names of the request stand in for names that the rule leaves out. */
export function automaticNames(tls: ClientTlsSpec): {
  readonly sni: boolean;
  readonly sanValidation: boolean;
} {
  const sni = tls.sni === "";
  const verified = tls.insecureSkipVerify !== true;
  return { sni, sanValidation: sni && tls.subjectAltNames.length === 0 && verified };
}
