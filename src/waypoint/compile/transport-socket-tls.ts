/** UpstreamTlsContext → TLS towards an endpoint. Whatever would check less than asked for is refused. */
import {
  type TlsCertificate,
  TlsCertificateSchema,
  type TlsParameters,
  TlsParameters_TlsProtocol,
  TlsParametersSchema,
} from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  type UpstreamTlsContext,
  UpstreamTlsContextSchema,
} from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { CertificateSource, TlsVersion, UpstreamTls } from "../model/upstream-transport.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileDataSource, secretName } from "./transport-socket-data.ts";
import { compileTrust } from "./transport-socket-trust.ts";

export function compileUpstreamTls(
  message: UpstreamTlsContext,
  path: Path,
  notes: Notes,
): UpstreamTls {
  checkFields(message, UpstreamTlsContextSchema, path, notes, {
    used: ["common_tls_context", "sni", "allow_renegotiation"],
    decorative: ["max_session_keys", "enforce_rsa_key_usage"],
  });
  if (message.allowRenegotiation)
    throw new CompileError(at(path, "allow_renegotiation"), "is not supported");
  const commonPath = at(path, "common_tls_context");
  const common = message.commonTlsContext;
  if (common === undefined) throw new CompileError(commonPath, "is missing");
  checkFields(common, CommonTlsContextSchema, commonPath, notes, {
    used: [
      "tls_params",
      "tls_certificates",
      "tls_certificate_sds_secret_configs",
      "validation_context",
      "validation_context_sds_secret_config",
      "combined_validation_context",
      "alpn_protocols",
    ],
  });
  return {
    sni: message.sni === "" ? undefined : message.sni,
    alpn: common.alpnProtocols,
    ...compileParameters(common.tlsParams, at(commonPath, "tls_params"), notes),
    certificate: compileCertificate(common, commonPath, notes),
    ...compileTrust(common.validationContextType, commonPath, notes),
  };
}

type Parameters = Pick<UpstreamTls, "minVersion" | "maxVersion" | "ciphers" | "groups">;

function compileParameters(
  message: TlsParameters | undefined,
  path: Path,
  notes: Notes,
): Parameters {
  if (message === undefined)
    return { minVersion: "TLSv1.2", maxVersion: "TLSv1.3", ciphers: undefined, groups: undefined };
  checkFields(message, TlsParametersSchema, path, notes, {
    used: [
      "tls_minimum_protocol_version",
      "tls_maximum_protocol_version",
      "cipher_suites",
      "ecdh_curves",
    ],
  });
  const minVersion = versionOf(
    message.tlsMinimumProtocolVersion,
    "TLSv1.2",
    at(path, "tls_minimum_protocol_version"),
  );
  const maxVersion = versionOf(
    message.tlsMaximumProtocolVersion,
    "TLSv1.3",
    at(path, "tls_maximum_protocol_version"),
  );
  if (minVersion > maxVersion)
    throw new CompileError(path, `asks for ${minVersion} at least and ${maxVersion} at most`);
  return {
    minVersion,
    maxVersion,
    ciphers: message.cipherSuites.length === 0 ? undefined : ciphersOf(message.cipherSuites),
    groups: message.ecdhCurves.length === 0 ? undefined : message.ecdhCurves.join(":"),
  };
}

/** BoringSSL's `[A|B]` is a group of equals; OpenSSL has no such thing, and its order serves. */
function ciphersOf(suites: readonly string[]): string {
  return suites.map((suite) => suite.replace(/^\[|\]$/g, "").replaceAll("|", ":")).join(":");
}

function versionOf(
  version: TlsParameters_TlsProtocol,
  automatic: TlsVersion,
  path: Path,
): TlsVersion {
  switch (version) {
    case TlsParameters_TlsProtocol.TLS_AUTO:
      return automatic;
    case TlsParameters_TlsProtocol.TLSv1_2:
      return "TLSv1.2";
    case TlsParameters_TlsProtocol.TLSv1_3:
      return "TLSv1.3";
    default:
      throw new CompileError(path, "versions before TLS 1.2 are not supported");
  }
}

function compileCertificate(
  common: CommonTlsContext,
  path: Path,
  notes: Notes,
): CertificateSource | undefined {
  const { tlsCertificates, tlsCertificateSdsSecretConfigs: secrets } = common;
  if (tlsCertificates.length + secrets.length > 1)
    throw new CompileError(path, "has more than one client certificate");
  const [given] = tlsCertificates;
  if (given !== undefined) return givenCertificate(given, item(path, "tls_certificates", 0), notes);
  const [secret] = secrets;
  if (secret === undefined) return undefined;
  const name = secretName(secret, item(path, "tls_certificate_sds_secret_configs", 0), notes);
  return name === "default" ? { kind: "workload" } : { kind: "secret", name };
}

function givenCertificate(message: TlsCertificate, path: Path, notes: Notes): CertificateSource {
  checkFields(message, TlsCertificateSchema, path, notes, {
    used: ["certificate_chain", "private_key"],
    decorative: ["watched_directory", "ocsp_staple"],
  });
  return {
    kind: "given",
    chain: compileDataSource(message.certificateChain, at(path, "certificate_chain")),
    key: compileDataSource(message.privateKey, at(path, "private_key")),
  };
}
