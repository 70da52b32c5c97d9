/** Where key material is: bytes in place, a file, a secret by name. */
import type { DataSource as DataSourceMessage } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
} from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { DataSource } from "../model/upstream-transport.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";

export function compileDataSource(message: DataSourceMessage | undefined, path: Path): DataSource {
  switch (message?.specifier.case) {
    case "inlineBytes":
      return { kind: "inline", bytes: message.specifier.value };
    case "inlineString":
      return { kind: "inline", bytes: Buffer.from(message.specifier.value, "utf8") };
    case "filename":
      return { kind: "file", path: message.specifier.value };
    case "environmentVariable":
      throw new CompileError(path, "environment variables are not supported here");
    default:
      throw new CompileError(path, "is missing");
  }
}

/** Where secrets come from is settled by their names (wire/waypoint.md section 2.5). */
export function secretName(message: SdsSecretConfig, path: Path, notes: Notes): string {
  checkFields(message, SdsSecretConfigSchema, path, notes, { used: ["name", "sds_config"] });
  if (message.name === "") throw new CompileError(at(path, "name"), "is missing");
  return message.name;
}
