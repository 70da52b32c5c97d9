/** Whom to believe: trust anchors, and the names that a peer's certificate must have. */
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcher,
  SubjectAltNameMatcherSchema,
  CertificateValidationContext_TrustChainVerification as TrustChain,
} from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  CommonTlsContext_CombinedCertificateValidationContextSchema as CombinedSchema,
  type CommonTlsContext,
} from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type {
  PeerNameRule,
  PeerRules,
  TrustSource,
  UpstreamTls,
} from "../model/upstream-transport.ts";
import { compileStringMatcher } from "./matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileDataSource, secretName } from "./transport-socket-data.ts";

type Trust = Pick<UpstreamTls, "trust" | "peer">;

const anyPeer: PeerRules = {
  names: [],
  certificateHashes: [],
  spkiHashes: [],
};

export function compileTrust(
  choice: CommonTlsContext["validationContextType"],
  path: Path,
  notes: Notes,
): Trust {
  switch (choice.case) {
    // Envoy checks nothing then.
    case undefined:
      return { trust: { kind: "none" }, peer: anyPeer };
    case "validationContext":
      return compileContext(choice.value, undefined, at(path, "validation_context"), notes);
    case "validationContextSdsSecretConfig": {
      const name = secretName(
        choice.value,
        at(path, "validation_context_sds_secret_config"),
        notes,
      );
      return { trust: trustBy(name), peer: anyPeer };
    }
    case "combinedValidationContext": {
      const combined = choice.value;
      const combinedPath = at(path, "combined_validation_context");
      checkFields(combined, CombinedSchema, combinedPath, notes, {
        used: ["default_validation_context", "validation_context_sds_secret_config"],
      });
      const secret = combined.validationContextSdsSecretConfig;
      const name =
        secret &&
        secretName(secret, at(combinedPath, "validation_context_sds_secret_config"), notes);
      const context = combined.defaultValidationContext;
      if (context === undefined)
        return { trust: name === undefined ? { kind: "none" } : trustBy(name), peer: anyPeer };
      return compileContext(context, name, at(combinedPath, "default_validation_context"), notes);
    }
    default:
      throw new CompileError(path, "certificate providers are not supported");
  }
}

function trustBy(name: string): TrustSource {
  if (name === "ROOTCA") return { kind: "workload" };
  if (name === "file-root:system") return { kind: "system" };
  return { kind: "secret", name };
}

function compileContext(
  message: CertificateValidationContext,
  secret: string | undefined,
  path: Path,
  notes: Notes,
): Trust {
  checkFields(message, CertificateValidationContextSchema, path, notes, {
    used: [
      "trusted_ca",
      "system_root_certs",
      "crl",
      "match_typed_subject_alt_names",
      "match_subject_alt_names",
      "verify_certificate_spki",
      "verify_certificate_hash",
      "trust_chain_verification",
    ],
    decorative: ["watched_directory"],
  });
  const names: PeerNameRule[] = [
    ...message.matchTypedSubjectAltNames.map((rule, index) =>
      compileTypedName(rule, item(path, "match_typed_subject_alt_names", index), notes),
    ),
    ...message.matchSubjectAltNames.map((matcher, index): PeerNameRule => {
      const matcherPath = item(path, "match_subject_alt_names", index);
      return { type: "any", matcher: compileStringMatcher(matcher, matcherPath, notes) };
    }),
  ];
  const trust = trustOf(message, secret, path);
  if (trust.kind === "none" && names.length > 0)
    throw new CompileError(path, "names of a peer cannot be believed without trusted_ca");
  return {
    trust,
    peer: {
      names,
      certificateHashes: message.verifyCertificateHash,
      spkiHashes: message.verifyCertificateSpki,
    },
  };
}

function trustOf(
  message: CertificateValidationContext,
  secret: string | undefined,
  path: Path,
): TrustSource {
  if (message.trustChainVerification === TrustChain.ACCEPT_UNTRUSTED) return { kind: "none" };
  if (secret !== undefined) {
    if (message.crl !== undefined || message.trustedCa !== undefined)
      throw new CompileError(path, "has roots or a CRL beside a secret that has them too");
    return trustBy(secret);
  }
  if (message.trustedCa !== undefined)
    return {
      kind: "given",
      roots: compileDataSource(message.trustedCa, at(path, "trusted_ca")),
      crl: message.crl && compileDataSource(message.crl, at(path, "crl")),
    };
  return message.systemRootCerts === undefined ? { kind: "none" } : { kind: "system" };
}

function compileTypedName(message: SubjectAltNameMatcher, path: Path, notes: Notes): PeerNameRule {
  checkFields(message, SubjectAltNameMatcherSchema, path, notes, { used: ["san_type", "matcher"] });
  if (message.matcher === undefined) throw new CompileError(at(path, "matcher"), "is missing");
  return {
    type: nameType(message.sanType, at(path, "san_type")),
    matcher: compileStringMatcher(message.matcher, at(path, "matcher"), notes),
  };
}

function nameType(type: SanType, path: Path): PeerNameRule["type"] {
  switch (type) {
    case SanType.DNS:
      return "dns";
    case SanType.URI:
      return "uri";
    case SanType.IP_ADDRESS:
      return "ip";
    case SanType.EMAIL:
      return "email";
    default:
      throw new CompileError(path, "is not supported");
  }
}
