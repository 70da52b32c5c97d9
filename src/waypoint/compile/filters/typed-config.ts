/** `typed_config` of filters: an Any, at times with a TypedStruct around the real message. */
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonObject,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { describeError } from "../../../shared/base/errors.ts";
import { TypedStructSchema as UdpaTypedStructSchema } from "../../../shared/wire/gen/udpa/type/v1/typed_struct_pb.js";
import { TypedStructSchema as XdsTypedStructSchema } from "../../../shared/wire/gen/xds/type/v3/typed_struct_pb.js";
import { CompileError, type Path } from "../notes.ts";

export type TypedConfig =
  | { readonly kind: "message"; readonly typeName: string; readonly bytes: Uint8Array }
  /** As JSON under the protobuf names: the message itself may be unknown to us. */
  | { readonly kind: "struct"; readonly typeName: string; readonly value: JsonObject };

const typedStructs = [UdpaTypedStructSchema, XdsTypedStructSchema] as const;

/** The name after the last slash of a type URL. */
function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

export function typedConfig(any: Any | undefined, path: Path): TypedConfig {
  if (any === undefined || any.typeUrl === "") throw new CompileError(path, "is missing");
  const typeName = typeNameOf(any.typeUrl);
  for (const schema of typedStructs) {
    if (typeName !== schema.typeName) continue;
    const struct = decoded(schema, any.value, path);
    return { kind: "struct", typeName: typeNameOf(struct.typeUrl), value: struct.value ?? {} };
  }
  return { kind: "message", typeName, bytes: any.value };
}

/** The message, whichever way it was packed. Throws when the config is of another type. */
export function readConfig<Schema extends DescMessage>(
  config: TypedConfig,
  schema: Schema,
  path: Path,
): MessageShape<Schema> {
  if (config.typeName !== schema.typeName)
    throw new CompileError(path, `is ${config.typeName}, expected ${schema.typeName}`);
  if (config.kind === "message") return decoded(schema, config.bytes, path);
  try {
    return fromJson(schema, config.value);
  } catch (cause) {
    throw unreadable(schema, path, cause);
  }
}

function decoded<Schema extends DescMessage>(
  schema: Schema,
  bytes: Uint8Array,
  path: Path,
): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw unreadable(schema, path, cause);
  }
}

function unreadable(schema: DescMessage, path: Path, cause: unknown): CompileError {
  const problem = `does not decode as ${schema.typeName}: ${describeError(cause)}`;
  return new CompileError(path, problem, { cause });
}
