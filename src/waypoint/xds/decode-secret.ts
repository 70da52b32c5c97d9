/** `Secret` as the control plane sends it for TLS origination (wire/waypoint.md section 2.4). */
import { fromBinary } from "@bufbuild/protobuf";
import type { DataSource } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { CertificateValidationContextSchema } from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SecretSchema } from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { at, CompileError, checkFields, Notes } from "../compile/notes.ts";
import type { SecretValue } from "../secrets/secret-book.ts";

/** Throws CompileError; its text holds no key material. */
export function decodeSecret(bytes: Uint8Array): SecretValue {
  const { type } = fromBinary(SecretSchema, bytes);
  switch (type.case) {
    case "tlsCertificate": {
      const { certificateChain, privateKey } = type.value;
      return {
        kind: "certificate",
        chainPem: textOf(certificateChain, "tls_certificate.certificate_chain"),
        keyPem: textOf(privateKey, "tls_certificate.private_key"),
      };
    }
    case "validationContext": {
      // What narrows the trust further must not be read past.
      checkFields(
        type.value,
        CertificateValidationContextSchema,
        "validation_context",
        new Notes(),
        { used: ["trusted_ca", "crl"] },
      );
      const { trustedCa, crl } = type.value;
      return {
        kind: "trust",
        rootsPem: textOf(trustedCa, "validation_context.trusted_ca"),
        crlPem: crl === undefined ? undefined : textOf(crl, "validation_context.crl"),
      };
    }
    default:
      throw new CompileError("type", `${type.case ?? "nothing"} is not supported`);
  }
}

function textOf(source: DataSource | undefined, path: string): string {
  switch (source?.specifier.case) {
    case "inlineBytes":
      return Buffer.from(source.specifier.value).toString();
    case "inlineString":
      return source.specifier.value;
    default:
      throw new CompileError(at(path, "specifier"), "expected bytes in place");
  }
}
